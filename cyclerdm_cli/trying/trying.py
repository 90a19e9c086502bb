"""Tries tasks on one picture: the whole at a small size, and at full size the spot that changes most."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.masks import check_mask, mask_of
from cyclerdm_cli.pictures.picture import Picture, to_depth
from cyclerdm_cli.restoring.choosing import Choice
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.words.judging import WORTH_SAYING

LONGEST = 1000
"""Longer side, in pixels, of the small size; smaller pictures keep their own."""
DETAIL = 352
"""Side in pixels of the square that is shown at full size: a telephone's screen is as wide."""
DETAIL_MARGIN = 96
"""Pixels around that square that are restored with it, so that it comes out as in the whole picture."""
LEAST_VISIBLE_CHANGE = 0.5
"""Mean change of that square, in levels of 255, below which there is nothing to be seen."""
WHITE = 255
"""Level on which transparent pictures are shown."""
LEAST_HOLES = 0.01
"""Share of a picture that is pure white from which on that may be holes."""
HARD_EDGE = 180
"""Level that the pixels around pure white are darker than, for the most part, where it was cut out: light that
burns out fades towards its edge."""

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class Subject:
    """The picture that tasks are tried on."""

    pixels: Pixels
    """(H, W, 3), sRGB, at full size."""
    small: Pixels
    """(h, w, 3), the same at most LONGEST pixels long."""
    missing: Mask | None = None
    """(H, W), True where the picture says that it is missing."""
    alpha: NDArray[np.float32] | None = None
    """(H, W) in [0, 1]: opacity, None where all is opaque."""

    @staticmethod
    def of(picture: Picture) -> Subject:
        """Return what is tried of a picture."""
        pixels, alpha = to_depth(picture.pixels, 8), None
        if picture.alpha is not None and not (picture.alpha == np.iinfo(picture.alpha.dtype).max).all():
            alpha = picture.alpha.astype(np.float32) / np.float32(np.iinfo(picture.alpha.dtype).max)
        return Subject(pixels, _shrunk(pixels), mask_of(picture), alpha)

    @property
    def has_holes(self) -> bool:
        """Whether what is missing was cut out: it is transparent, or much of it is white with hard edges."""
        if self.missing is None or self.missing.all():
            return False
        if self.alpha is not None and not self.alpha.all():
            return True
        holes = self.missing.astype(np.uint8)
        around = cv2.dilate(holes, np.ones((3, 3), np.uint8)) > holes
        levels = self.pixels[around].min(axis=1)
        return bool(self.missing.mean() >= LEAST_HOLES and np.median(levels) < HARD_EDGE)

    @property
    def small_missing(self) -> Mask | None:
        """Return (h, w), True where any of the pixels that a small one stands for is missing."""
        if self.missing is None:
            return None
        return np.asarray(_resized(self.missing.astype(np.float32), self.small.shape) > 0)

    def shown(self, pixels: Pixels, window: Window | None = None) -> Pixels:
        """Return pixels of the small size, or of a window at full size, as a viewer shows them: on white."""
        if self.alpha is None:
            return pixels
        alpha = (_resized(self.alpha, self.small.shape) if window is None else self.alpha[window])[:, :, None]
        return np.rint(pixels * alpha + WHITE * (1 - alpha)).astype(np.uint8)


@dataclass(frozen=True)
class Trial:
    """What became of the picture under one task, or under several one after the other."""

    tasks: Sequence[Task]
    likely: float | None
    """How likely the damage is, 0 to 1; None for several tasks."""
    small: Pixels
    """(h, w, 3): the small picture, restored."""
    window: Window
    """The spot of the full-size picture that changed most."""
    before: Pixels
    """(DETAIL, DETAIL, 3) at most: that spot as it was."""
    after: Pixels
    """The same, restored at full size."""

    @property
    def name(self) -> str:
        """What `--task` calls it."""
        return "+".join(task.name for task in self.tasks)

    @property
    def visible(self) -> bool:
        """Whether there is a change to be seen."""
        change = np.abs(self.after.astype(np.int16) - self.before).mean()
        return bool(change >= LEAST_VISIBLE_CHANGE)


def rows_of_tasks(
    choice: Choice, tasks: Sequence[Task], subject: Subject, *, named: bool = False
) -> list[Sequence[Task]]:
    """Return what to try, the likeliest first: what `auto` would do, where that is several tasks, then each task.

    A task that fills in comes before all others where parts were cut out of the picture, and is left out where
    white areas are unlikely to be holes. Tasks of light that are unlikely come last: they change every picture,
    where the others change what they find alone.

    Args:
        choice: what `auto` thinks of the picture.
        tasks: those that can be tried.
        subject: the picture.
        named: whether they were asked for by name: then all are tried.

    Raises:
        PictureError: a task that fills in was asked for by name, and nothing is missing, or everything.
    """
    if named and any(task.masked for task in tasks):
        if subject.missing is None:
            raise PictureError("nothing to fill in", hint="transparent or pure white pixels are filled in")
        check_mask(subject.missing, "what is transparent or white")
    first = [task for task in tasks if task.masked and subject.has_holes]
    ranked = sorted(
        (
            task
            for task in tasks
            if task not in first
            and (
                named
                or not task.masked
                or (subject.missing is not None and _likely(choice, task) >= WORTH_SAYING)
            )
        ),
        key=lambda task: (task.tone and _likely(choice, task) < WORTH_SAYING, -_likely(choice, task)),
    )
    several = len(choice.tasks) > 1 and not choice.doubt and not named
    return [*([task] for task in first), *([choice.tasks] * several), *([task] for task in ranked)]


def _likely(choice: Choice, task: Task) -> float:
    return choice.likely.get(task.name, 0.0)


def try_tasks(
    subject: Subject,
    rows: Sequence[Sequence[Task]],
    likely: Mapping[str, float],
    restorer_for: Callable[[str], Restorer],
) -> Iterator[Trial]:
    """Yield what becomes of the picture, row by row of tasks.

    Args:
        subject: the picture.
        rows: of tasks that are done one after the other.
        likely: the probability of each damage.
        restorer_for: returns the restorer of a task by its name.
    """
    for tasks in rows:
        restorers = [restorer_for(task.name) for task in tasks]
        steps = [subject.small]
        for task, restorer in zip(tasks, restorers, strict=True):
            steps.append(restorer.restore(steps[-1], subject.small_missing if task.masked else None))
        window = spot_of_change(subject.small, steps[-1], subject.pixels.shape[:2])
        before = subject.pixels[window]
        after = _restored_window(subject, tasks, restorers, steps, window)
        single = likely.get(tasks[0].name, 0.0) if len(tasks) == 1 else None
        yield Trial(tasks, single, steps[-1], window, before, after)


def spot_of_change(before: Pixels, after: Pixels, size: tuple[int, ...]) -> Window:
    """Return the square of DETAIL pixels, in a picture of `size` (height, width), that changed most.

    Args:
        before: (h, w, 3) the small picture.
        after: the same, restored.
        size: of the full-size picture; where a side is shorter than DETAIL, all of it is taken.
    """
    change = np.abs(after.astype(np.int16) - before).astype(np.float32).sum(axis=2)
    sides = [min(DETAIL, length) for length in size[:2]]
    reach = [
        max(1, round(side * small / length))
        for side, small, length in zip(sides, change.shape, size[:2], strict=True)
    ]
    summed = np.pad(change, ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
    high, wide = reach
    sums = summed[high:, wide:] - summed[:-high, wide:] - summed[high:, :-wide] + summed[:-high, :-wide]
    corner = np.unravel_index(int(sums.argmax()), sums.shape)
    starts = [
        min(round(int(at) * length / small), length - side)
        for at, side, small, length in zip(corner, sides, change.shape, size[:2], strict=True)
    ]
    rows, columns = (slice(start, start + side) for start, side in zip(starts, sides, strict=True))
    return rows, columns


def _restored_window(
    subject: Subject,
    tasks: Sequence[Task],
    restorers: Sequence[Restorer],
    steps: Sequence[Pixels],
    window: Window,
) -> Pixels:
    """Restore a window of the full-size picture as it comes out when the whole is restored.

    Args:
        subject: the picture.
        tasks: one after the other.
        restorers: of the tasks.
        steps: the small picture before each task, and after the last.
        window: of the full-size picture.
    """
    multiple = math.lcm(*(restorer.network.multiple for restorer in restorers))
    wide, inner = _with_margin(window, subject.pixels.shape[:2], multiple)
    tile = subject.pixels[wide]
    for task, restorer, small in zip(tasks, restorers, steps, strict=False):
        if task.masked and subject.missing is not None:
            tile = restorer.restore(tile, subject.missing[wide])
            continue
        # A kernel is looked for at full size. Light is judged after what the tasks before have done to it.
        first = small is subject.small
        looked_at = subject.pixels if first or restorer.network.deconvolves else small
        tile = _restored_tile(restorer, tile, looked_at, wide, subject.pixels.shape[:2])
    return np.ascontiguousarray(tile[inner])


def _restored_tile(
    restorer: Restorer, tile: Pixels, looked_at: Pixels, window: Window, size: tuple[int, ...]
) -> Pixels:
    """Restore one tile of a picture of `size`, of which `looked_at` is the whole at any size."""
    height, width = tile.shape[:2]
    multiple = restorer.network.multiple
    lacking = [(0, -side % multiple) for side in (height, width)]
    padded = np.pad(tile, (*lacking, (0, 0)), mode="reflect" if min(height, width) > multiple else "edge")
    corner = torch.tensor([[window[0].start, window[1].start]], dtype=torch.float32)
    generator = torch.Generator().manual_seed(restorer.options.seed)
    place = Place(corner, (size[0], size[1]))
    findings = restorer.computer.look([looked_at])
    restored = restorer.computer.restore(padded[None], None, findings, place, generator, 1)
    levels = np.rint(restored[0, :height, :width].clip(0, 1) * 255)
    return levels.astype(np.uint8)


def _with_margin(window: Window, size: tuple[int, ...], multiple: int) -> tuple[Window, Window]:
    """Return a window made wider by DETAIL_MARGIN or more as far as the picture goes, and the old one inside it.

    The wide one begins at a multiple, so that what a network halves is halved as in the whole picture.
    """
    wide = [
        slice(
            max(0, part.start - DETAIL_MARGIN) // multiple * multiple, min(length, part.stop + DETAIL_MARGIN)
        )
        for part, length in zip(window, size, strict=True)
    ]
    inner = [
        slice(part.start - around.start, part.stop - around.start)
        for part, around in zip(window, wide, strict=True)
    ]
    return (wide[0], wide[1]), (inner[0], inner[1])


def _shrunk(pixels: Pixels) -> Pixels:
    """Shrink (H, W, 3) to LONGEST pixels at most."""
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    return _resized(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))


def _resized(values: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Average areas of (H, W, ...) so that (height, width) become those of `size`."""
    if values.shape[:2] == tuple(size[:2]):
        return values
    return cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_AREA)
