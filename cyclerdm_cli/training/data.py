"""Clean photographs, decoded once, cut and degraded on the device that trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from cyclerdm_cli.errors import DataError, PictureError
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.picture import to_depth
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.tasks.degradation import degradation_of
from cyclerdm_cli.tasks.draw import uniform
from cyclerdm_cli.training.configuration import TrainingConfig

SIZES = (1.0, 0.7, 0.5)
"""Every photograph is also seen at these fractions of its size: finer texture, more of the scene."""


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

    def suitable(self, task: Task) -> Tensor:
        """Return the indices of the photographs that can teach a task: (K,) int64, on the CPU."""
        fit = (self.luma >= task.min_luma) & (self.dark_channel <= task.max_dark_channel)
        indices = fit.nonzero().flatten()
        if len(indices) == 0:
            raise DataError(
                f"no photograph is suitable for {task.name}",
                hint=f"mean luma at least {task.min_luma}, mean dark channel at most {task.max_dark_channel}",
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


class Batch(NamedTuple):
    """What one training step sees."""

    clean: Tensor
    """(B, 3, P, P) in [0, 1]."""
    degraded: Tensor
    """(B, 3, P, P) in [0, 1]."""
    mask: Tensor
    """(B, 1, P, P), 1 where the picture is missing."""
    thumbnail: Tensor
    """(B, 3, T, T): the whole degraded scene, of which the patch is a part."""
    task: Tensor
    """(B,) int64: index into the tasks trained."""


def read_photographs(folder: Path, scene: int, device: torch.device) -> Photographs:
    """Decode every picture below a folder.

    Raises:
        DataError: there is no folder, no picture in it, or none at least `scene` pixels high and wide.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint="--data takes a folder of clean photographs")
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in BY_EXTENSION and path.is_file()
    )
    if not paths:
        raise DataError(
            f"{folder}: no pictures in this folder", hint="--data takes a folder of clean photographs"
        )
    pieces: list[np.ndarray] = []
    sides: list[tuple[int, int]] = []
    files: list[str] = []
    for path in paths:
        try:
            picture = read_picture(path)
        except PictureError:
            continue
        for pixels in _sizes(picture.pixels, scene):
            pieces.append(pixels)
            sides.append((pixels.shape[0], pixels.shape[1]))
            files.append(path.name)
    if not pieces:
        raise DataError(
            f"{folder}: no picture is at least {scene}x{scene}", hint="larger pictures, or a smaller --scene"
        )
    starts = np.cumsum([0] + [height * width for height, width in sides[:-1]])
    return Photographs(
        pixels=torch.from_numpy(np.concatenate([piece.reshape(-1, 3) for piece in pieces])).to(device),
        starts=torch.from_numpy(starts),
        sides=torch.tensor(sides),
        luma=torch.tensor([float((piece.mean((0, 1)) @ (0.299, 0.587, 0.114)) / 255) for piece in pieces]),
        dark_channel=torch.tensor([_dark_channel(piece) for piece in pieces]),
        files=tuple(dict.fromkeys(files)),
    )


def _sizes(pixels: np.ndarray, smallest: int) -> Iterator[np.ndarray]:
    """Yield a photograph at each of SIZES that leaves both sides at least `smallest`; 8 bits."""
    eight_bit = to_depth(pixels, 8)
    for size in SIZES:
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


@dataclass(frozen=True)
class BatchSource:
    """Draws batches: the same iteration number gives the same batch, so that training resumes exactly."""

    photographs: Photographs
    tasks: tuple[Task, ...]
    config: TrainingConfig

    def draw(self, iteration: int, share: float) -> Batch:
        """Cut, degrade and cut again: one batch of scenes * patches_per_scene patches.

        Args:
            iteration: of the run.
            share: of the run that is done, in [0, 1], by which tasks join.
        """
        device = self.photographs.pixels.device
        generator = torch.Generator(device).manual_seed(self.config.seed * 1_000_003 + iteration)
        per_task = self.config.scenes // self.config.tasks_per_batch
        parts = [self._draw_task(task, per_task, generator) for task in self._tasks_of(iteration, share)]
        return Batch(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _tasks_of(self, iteration: int, share: float) -> list[int]:
        """Go through the tasks that have joined, each as often as its share, in a new order each time."""
        curriculum = self.config.curriculum
        joined = len(self.tasks) if share >= curriculum else 1 + int(len(self.tasks) * share / curriculum)
        turns = [index for index, task in enumerate(self.tasks[:joined]) for _ in range(task.share)]
        first = iteration * self.config.tasks_per_batch
        chosen = []
        for turn in range(first, first + self.config.tasks_per_batch):
            epoch, place = divmod(turn, len(turns))
            seed = self.config.seed * 1_000_003 + epoch
            order = torch.randperm(len(turns), generator=torch.Generator().manual_seed(seed))
            chosen.append(turns[int(order[place])])
        return chosen

    def _draw_task(self, index: int, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        from cyclerdm_cli.cycle.compact import thumbnail_of

        task = self.tasks[index]
        device = generator.device
        suitable = self.photographs.suitable(task)
        picks = torch.randint(len(suitable), (count,), generator=generator, device=device).cpu()
        clean = self.photographs.cut(suitable[picks], self.config.scene, generator)
        severity = uniform(0, 1, (count,), generator)
        degraded, mask = degradation_of(task)(clean, severity, generator)
        if mask is None:
            mask = torch.zeros_like(clean[:, :1])
        spared = torch.rand((count, 1, 1, 1), generator=generator, device=device) < self.config.clean_share
        degraded, mask = torch.where(spared, clean, degraded), torch.where(spared, 0.0, mask)
        thumbnail = thumbnail_of(degraded)
        corners = torch.randint(
            self.config.scene - self.config.patch + 1,
            (self.config.patches_per_scene, 2),
            generator=generator,
            device=device,
        )
        patches = [
            [
                plane[:, :, top : top + self.config.patch, left : left + self.config.patch]
                for plane in (clean, degraded, mask)
            ]
            for top, left in corners.tolist()
        ]
        planes = [torch.cat(column) for column in zip(*patches, strict=True)]
        repeated = thumbnail.repeat(self.config.patches_per_scene, 1, 1, 1)
        return (*planes, repeated, torch.full((len(repeated),), index, device=device))
