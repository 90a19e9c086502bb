"""Clean photographs, decoded once, cut and degraded on the device that trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from cyclerdm_cli.cycle.blur import LUMA, SIDE, framed, sharp
from cyclerdm_cli.errors import DataError, PictureError
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.listing import is_passed_over
from cyclerdm_cli.pictures.picture import to_depth
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.tasks.degradation import degradation_of
from cyclerdm_cli.tasks.draw import uniform
from cyclerdm_cli.training.configuration import TrainingConfig

Found = TypeVar("Found")
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
    left_out: tuple[str, ...] = ()
    """Names of those that were not: unreadable, or smaller than a scene."""

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
    """What one training step sees: turns of one task each, one after the other."""

    clean: Tensor
    """(B, 3, P, P) in [0, 1]."""
    degraded: Tensor
    """(B, 3, P, P) in [0, 1]."""
    mask: Tensor
    """(B, 1, P, P), 1 where the picture is missing."""
    thumbnail: Tensor
    """(B, 3, T, T): the whole degraded scene, of which the patch is a part."""
    mixture: Tensor
    """(G, K): how much of each task of the network is in the damage, of sum 1; a row a turn of B / G patches."""
    time: Tensor
    """(B,) in (0, 1]: where between the clean picture (0) and the stage's start (1) the estimate lies."""
    scene: Tensor
    """(S, 3, side, side) in [0, 1]: the whole degraded scenes, a row of S / G a turn; S divides B."""
    clean_scene: Tensor
    """The same before they were degraded."""
    kernel: Tensor
    """(S, SIDE, SIDE): what blurred the scenes, all 0 where it was not one kernel; see `Degraded`."""
    corners: Tensor
    """(G, B / S, 2) int64: where in the scenes of each turn the patches lie, top and left."""

    def patches_of(self, scenes: Tensor) -> Tensor:
        """Cut planes of the size of the scenes, (S, C, side, side), as the patches were: (B, C, P, P)."""
        turns = zip(scenes.chunk(len(self.corners)), self.corners.tolist(), strict=True)
        return torch.cat([cut_patches(planes, corners, self.clean.shape[-1]) for planes, corners in turns])


def cut_patches(planes: Tensor, corners: Sequence[Sequence[int]], side: int) -> Tensor:
    """Cut the same squares from each of (S, C, H, W): (len(corners) * S, C, side, side), corner after corner."""
    return torch.cat([planes[:, :, top : top + side, left : left + side] for top, left in corners])


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
    """Draws batches: the same iteration gives the same batch, so that training resumes exactly.

    A batch is a row of turns, each of one task and each drawn from a generator of its own, seeded by the turn's
    number. Several processes take up different turns of the same row.
    """

    tasks: tuple[Task, ...]
    """Those that have turns."""
    config: TrainingConfig
    photographs: Photographs | None = None
    """Clean ones, for the tasks that have a degradation."""
    pairs: dict[str, tuple[Pairs, ...]] = field(default_factory=dict)
    """Folders of pairs, by the task's name."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    """Which of `world` processes this one is."""
    world: int = 1
    known: tuple[str, ...] = ()
    """Names of the tasks that the network knows; empty where they are those of `tasks`."""

    @property
    def table(self) -> tuple[str, ...]:
        """Names of the tasks in the order of the network's task table."""
        return self.known or tuple(task.name for task in self.tasks)

    def draw(self, iteration: int, share: float) -> Batch:
        """Cut, degrade and cut again: one batch of scenes * patches_per_scene patches.

        Args:
            iteration: of the run.
            share: of the run that is done, in [0, 1], by which patches grow.
        """
        turns = self.config.turns
        first = (iteration * self.world + self.rank) * turns
        parts = [self._draw_turn(turn, share) for turn in range(first, first + turns)]
        return Batch(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _task_of(self, turn: int) -> int:
        """Go through the tasks, each as often as its share, in a new order each time."""
        places = [index for index, task in enumerate(self.tasks) for _ in range(task.share)]
        epoch, place = divmod(turn, len(places))
        seed = self.config.seed * 1_000_003 + epoch
        order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))
        return places[int(order[place])]

    def _draw_turn(self, turn: int, share: float) -> Batch:
        from cyclerdm_cli.cycle.compact import thumbnail_of

        config = self.config
        generator = torch.Generator(self.device).manual_seed(config.seed * 1_000_003 + turn)
        task = self.tasks[self._task_of(turn)]
        clean, degraded, mask, mixture, kernel = self._draw_scenes(task, generator)
        count = len(clean)
        spared = torch.rand((count, 1, 1, 1), generator=generator, device=self.device) < config.clean_share
        degraded, mask = torch.where(spared, clean, degraded), torch.where(spared, 0.0, mask)
        kernel = torch.where(spared[:, 0], sharp(1, self.device), kernel)
        thumbnail = thumbnail_of(degraded)
        patch, repeats = config.patch_at(share), config.patches_per_scene
        corners = torch.randint(
            config.scene - patch + 1, (repeats, 2), generator=generator, device=self.device
        )

        def cut(planes: Tensor) -> Tensor:
            return cut_patches(planes, corners.tolist(), patch)

        time = 1 - torch.rand(count * repeats, generator=generator, device=self.device)
        start = torch.rand(count * repeats, generator=generator, device=self.device) < config.start_share
        return Batch(
            clean=cut(clean),
            degraded=cut(degraded),
            mask=cut(mask),
            thumbnail=thumbnail.repeat(repeats, 1, 1, 1),
            mixture=mixture,
            time=torch.where(start, 1.0, time),
            scene=degraded,
            clean_scene=clean,
            kernel=kernel,
            corners=corners[None],
        )

    def _draw_scenes(
        self, task: Task, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return clean and degraded scenes, (S, 3, side, side), their mask, mixture, (1, K), and kernels."""
        config, chance = self.config, torch.rand(2, generator=generator, device=self.device).tolist()
        count = config.scenes // config.turns
        mixture = torch.zeros((1, len(self.table)), device=self.device)
        mixture[0, self.table.index(task.name)] = 1
        kernel = torch.zeros((count, SIDE, SIDE), device=self.device)
        folders = self.pairs.get(task.name, ())
        if folders and (self.photographs is None or not task.degrades or chance[0] < config.pair_share):
            pick = torch.randint(len(folders), (1,), generator=generator, device=self.device)
            degraded, clean = folders[int(pick)].cut(count, config.scene, generator)
            return clean, degraded, torch.zeros_like(clean[:, :1]), mixture, kernel
        if self.photographs is None:
            raise DataError(f"no photographs to degrade for {task.name}", hint="--data takes clean ones too")

        suitable = self.photographs.suitable(task)
        picks = torch.randint(len(suitable), (count,), generator=generator, device=self.device).cpu()
        clean = degraded = self.photographs.cut(suitable[picks], config.scene, generator)
        second = self._second_of(task, generator) if chance[1] < config.mixture_share else None
        if second is not None:
            mixture = mixture / 2
            mixture[0, self.table.index(second.name)] = 0.5
        # Later ones in the catalogue happen farther from the sensor: haze before rain, rain before noise.
        for damage in sorted({task, second or task}, key=self.tasks.index, reverse=True):
            severity = uniform(0, 1, (count,), generator)
            degraded, mask, blurring = degradation_of(damage)(degraded, severity, generator)
            kernel = kernel if blurring is None else framed(blurring)
        return clean, degraded, torch.zeros_like(clean[:, :1]) if mask is None else mask, mixture, kernel

    def _second_of(self, task: Task, generator: torch.Generator) -> Task | None:
        """Choose a second damage that can come with this one."""
        others = [other for other in self.tasks if other.degrades and not other.masked and other != task]
        if task.masked or not others:
            return None
        return others[int(torch.randint(len(others), (1,), generator=generator, device=self.device))]
