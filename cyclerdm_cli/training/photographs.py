"""Clean photographs and pairs, found in folders and decoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from cyclerdm_cli.errors import DataError, PictureError
from cyclerdm_cli.luma import LUMA
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.picture import to_depth
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.searching import is_passed_over
from cyclerdm_cli.tasks.catalogue import Task

Found = TypeVar("Found")
SIZES = (1.0, 0.7, 0.5)
"""Every photograph is also seen at these fractions of its size: finer texture, more of the scene."""
FITTED = 0.0
"""Stands among sizes for the one at which the shorter side is just that of a scene."""


@dataclass(frozen=True)
class Photographs:
    """All photographs as one long row of pixels, so that a batch of cuts is a single look-up.

    Each photograph stands there once for each of SIZES at which its shorter side holds a whole scene.
    """

    pixels: Tensor
    """(N, 3) uint8 sRGB."""
    starts: Tensor
    """(P,) int64: where each photograph begins in `pixels`."""
    sides: Tensor
    """(P, 2) int64: height and width."""
    luma: Tensor
    """(P,) float32: mean luma in [0, 1], by which dark photographs are told."""
    dark_channel: Tensor
    """(P,) float32: mean dark channel in [0, 1], by which misty photographs are told (He et al., CVPR 2009)."""
    files: tuple[str, ...]
    """Names of the files read, each once."""
    left_out: tuple[str, ...] = ()
    """Names of those that were not: unreadable, or smaller than a scene."""

    def suitable(self, task: Task) -> Tensor:
        """Return the indices of the photographs that can teach a task: (K,) int64, on the CPU."""
        bright = (self.luma >= task.min_luma) & (self.luma <= task.max_luma)
        fit = bright & (self.dark_channel <= task.max_dark_channel)
        indices = fit.nonzero().flatten()
        if len(indices) == 0:
            raise DataError(
                f"no photograph is suitable for {task.name}",
                hint=f"mean luma {task.min_luma} to {task.max_luma}, "
                f"mean dark channel at most {task.max_dark_channel}",
            )
        return indices

    def cut(self, chosen: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """Cut a random square from each chosen photograph, mirrored and turned at random.

        Returns:
            (B, 3, side, side) float32 in [0, 1] on the device of `pixels`.
        """
        device = self.pixels.device
        sides = self.sides.to(device)[chosen.to(device)]
        draws = torch.rand((len(chosen), 2), generator=generator, device=device)
        corners = (draws * (sides - side + 1)).long()
        rows = corners[:, 0, None, None] + torch.arange(side, device=device)[:, None]
        columns = corners[:, 1, None, None] + torch.arange(side, device=device)
        places = (
            self.starts.to(device)[chosen.to(device)][:, None, None]
            + rows * sides[:, 1, None, None]
            + columns
        )
        scenes = self.pixels[places].permute(0, 3, 1, 2).float() / 255
        # Rain falls, skies are above: mirrored always, turned upright never.
        mirrored = torch.rand((len(chosen), 1, 1, 1), generator=generator, device=device) < 0.5
        return torch.where(mirrored, scenes.flip(3), scenes).contiguous()


def pictures_in(folder: Path) -> list[Path]:
    """Return every picture below a folder, sorted. Raises DataError where there is none."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint="--data takes a folder of photographs")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in BY_EXTENSION
        and not is_passed_over(str(path.relative_to(folder)))
        and path.is_file()
    )
    if not paths:
        raise DataError(f"{folder}: no pictures in this folder", hint="--data takes a folder of photographs")
    return paths


def read_photographs(
    paths: Sequence[Path], scene: int, device: torch.device, sizes: Sequence[float] = SIZES
) -> Photographs:
    """Decode photographs.

    Raises:
        DataError: none can be read and is at least `scene` pixels high and wide.
    """
    pieces: list[np.ndarray] = []
    files: list[str] = []
    left_out: list[str] = []
    for path in paths:
        try:
            found = list(_sizes(read_picture(path).pixels, scene, sizes))
        except PictureError:
            found = []
        pieces.extend(found)
        (files if found else left_out).append(path.name)
    if not pieces:
        raise DataError(
            f"{paths[0].parent}: no picture is at least {scene}x{scene}",
            hint="larger pictures, or a smaller --scene",
        )
    sides = [piece.shape[:2] for piece in pieces]
    starts = np.cumsum([0] + [height * width for height, width in sides[:-1]])
    return Photographs(
        pixels=torch.from_numpy(np.concatenate([piece.reshape(-1, 3) for piece in pieces])).to(device),
        starts=torch.from_numpy(starts),
        sides=torch.tensor(sides),
        luma=torch.tensor([float((piece.mean((0, 1)) @ LUMA) / 255) for piece in pieces]),
        dark_channel=torch.tensor([_dark_channel(piece) for piece in pieces]),
        files=tuple(files),
        left_out=tuple(left_out),
    )


@dataclass(frozen=True)
class Pairs:
    """Degraded photographs and the same ones clean: all that is needed of a task without a degradation."""

    lq: Photographs
    """As degraded."""
    gt: Photographs
    """As they should be; every photograph at the same place and of the same size as in `lq`."""

    def cut(self, count: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (lq, gt) of random squares, the same of both, each (count, 3, side, side) in [0, 1]."""
        picks = torch.randint(len(self.lq.sides), (count,), generator=generator, device=generator.device)
        return self.cut_from(picks.cpu(), side, generator)

    def cut_from(self, chosen: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (lq, gt) of a random square of each chosen pair; see `Photographs.cut`."""
        before = generator.get_state()
        lq = self.lq.cut(chosen, side, generator)
        generator.set_state(before)
        return lq, self.gt.cut(chosen, side, generator)


def pairs_in(folder: Path) -> list[tuple[Path, Path]]:
    """Return the pictures of `folder/lq` and `folder/gt`, paired by their names without extension.

    Raises:
        DataError: a picture has no partner.
    """
    lq, gt = (
        {path.relative_to(folder / side).with_suffix(""): path for path in pictures_in(folder / side)}
        for side in ("lq", "gt")
    )
    for name in sorted(set(lq) ^ set(gt)):
        alone, other = (lq[name], "gt") if name in lq else (gt[name], "lq")
        raise DataError(f"{alone}: no partner in {folder / other}", hint="the two share their name")
    return [(lq[name], gt[name]) for name in sorted(lq)]


def read_pairs(paths: Sequence[tuple[Path, Path]], scene: int, device: torch.device) -> Pairs:
    """Decode pairs of degraded and clean pictures.

    Raises:
        DataError: the two of a pair differ in size, or none is at least `scene` pixels high and wide.
        PictureError: one cannot be read.
    """
    for lq, gt in paths:
        shapes = [read_picture(path).pixels.shape[:2] for path in (lq, gt)]
        if shapes[0] != shapes[1]:
            shown = " and ".join(f"{width}x{height}" for height, width in shapes)
            raise DataError(f"{lq}: the pair has two sizes, {shown}")
    lqs, gts = (read_photographs(side, scene, device, (1.0,)) for side in zip(*paths, strict=True))
    return Pairs(lqs, gts)


def hold_out(paths: list[Found], every: int = 20) -> tuple[list[Found], list[Found]]:
    """Set every `every`-th one apart: (for training, for validation); few paths are left together."""
    if len(paths) < every:
        return paths, []
    return [path for place, path in enumerate(paths) if (place + 1) % every], paths[every - 1 :: every]


def _sizes(pixels: np.ndarray, smallest: int, sizes: Sequence[float]) -> Iterator[np.ndarray]:
    """Yield a photograph at each of the sizes that leaves both sides at least `smallest`; 8 bits."""
    eight_bit = to_depth(pixels, 8)
    for size in sizes:
        if size == FITTED:
            size = smallest / min(eight_bit.shape[:2])
            if size >= 1:
                continue
        height, width = round(eight_bit.shape[0] * size), round(eight_bit.shape[1] * size)
        if min(height, width) >= smallest:
            yield (
                eight_bit
                if size == 1
                else cv2.resize(eight_bit, (width, height), interpolation=cv2.INTER_AREA)
            )


def _dark_channel(pixels: np.ndarray) -> float:
    """Return the mean over the picture of the minimum over colours and 15x15 neighbours, in [0, 1]."""
    return float(cv2.erode(pixels.min(2), np.ones((15, 15), np.uint8)).mean() / 255)
