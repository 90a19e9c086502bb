"""How before and after are laid out in one picture. Pure functions of pixels, whatever their type and colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from cyclerdm_cli.pictures.labels import (
    BRIGHT,
    GROUND,
    NAME_SIZE,
    SMALLEST,
    Label,
    caption_band,
    label_band,
    letter_height,
    level,
)
from cyclerdm_cli.pictures.picture import Pixels

MIDDLE_LIGHT = 0.18
"""Of floating-point samples, which are light: what is seen halfway between black and white."""
NARROWEST = 300
"""Pixels of width that labels need; a narrower picture stands in the middle of as much."""
LEAN = 0.36
"""How far a leaning line goes sideways, as a part of the width: at its ends both sides are still to be seen."""
WHOLE_SIDE = 720
"""Longer side in pixels, at most, of the whole picture on a sheet with a detail."""
BLOCKS = 24
"""Steps in which the place of a detail is looked for, in its width."""


@dataclass(frozen=True)
class Names:
    """What the files before and after are called."""

    before: str
    after: str


@dataclass(frozen=True)
class Place:
    """Part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int
    changed: bool = True
    """Whether anything in it changed."""

    def of(self, pixels: Pixels) -> Pixels:
        """Return that part of a picture."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def side_by_side(before: Pixels, after: Pixels) -> Pixels:
    """Return `before` and `after` beside each other, a thin mid-grey gap between them.

    Args:
        before: (H, W, 3) uint8, uint16 or floating point.
        after: the same shape and type.

    Returns:
        (H, 2 * W + gap, 3) of the same type; the gap is a hundredth of the width, 2 pixels at least.
    """
    _check_alike(before, after)
    height, width, channels = before.shape
    middle = MIDDLE_LIGHT if before.dtype.kind == "f" else np.iinfo(before.dtype).max // 2 + 1
    gap = np.full((height, max(2, width // 100), channels), middle, before.dtype)
    return np.concatenate((before, gap, after), axis=1)


def divided(before: Pixels, after: Pixels, names: Names, *, leaning: bool = False) -> Pixels:
    """Return one picture, its left half before and its right half after, below a band that says so.

    Args:
        before, after: (H, W, 3) of one type.
        leaning: whether the line between them leans to the right instead of standing upright.

    Returns:
        (H + band, W or more, 3) of the same type.
    """
    _check_alike(before, after)
    height, width = before.shape[:2]
    body, core = before.copy(), max(1, min(height, width) // 400)
    for row in range(height):
        lean = LEAN * width * (0.5 - (row + 0.5) / height) if leaning else 0
        middle = round(width / 2 + lean)
        body[row, middle:] = after[row, middle:]
        body[row, max(0, middle - 2 * core) : middle + 2 * core] = level(0, before.dtype)
        body[row, max(0, middle - core) : middle + core] = level(BRIGHT, before.dtype)
    body = _widened(body, NARROWEST)
    wide = body.shape[1]
    labels = (
        Label("before", names.before, 0, wide // 2),
        Label("after", names.after, wide // 2, wide, at_right=True),
    )
    band = label_band(wide, letter_height(height, wide, wide // 2), labels, before.dtype)
    return np.concatenate((band, body), axis=0)


def framed(pixels: Pixels, names: Names, *, after: bool) -> Pixels:
    """Return a picture below a band with both labels, of which the one that counts is bright.

    Args:
        pixels: (H, W, 3).
        after: whether it is the picture after.
    """
    body = _widened(pixels, NARROWEST)
    height, width = body.shape[:2]
    labels = (
        Label("before", names.before, 0, width // 2, dim=after),
        Label("after", names.after, width // 2, width, at_right=True, dim=not after),
    )
    band = label_band(width, letter_height(height, width, width // 2), labels, pixels.dtype)
    return np.concatenate((band, body), axis=0)


def reduced(pixels: Pixels, longest: int) -> Pixels:
    """Return a picture whose longer side has so many pixels at most, averaged; or the same where it has."""
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Of half-precision floats OpenCV averages none.
    wide = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
    return np.asarray(cv2.resize(wide, size, interpolation=cv2.INTER_AREA)).astype(pixels.dtype, copy=False)


def place_of_detail(before: Pixels, after: Pixels) -> Place:
    """Return the part of a picture that changed most; its middle where nothing did.

    Args:
        before, after: (H, W, 3) uint8 or uint16, the same shape and type.
    """
    _check_alike(before, after)
    height, width = before.shape[:2]
    high, wide = _detail_size(height, width)
    step = max(1, wide // BLOCKS)
    starts = np.arange(0, width, step)
    rows = [
        np.add.reduceat(
            cv2.absdiff(before[top : top + step], after[top : top + step]).sum(axis=(0, 2), dtype=np.float64),
            starts,
        )
        for top in range(0, height, step)
    ]
    grid = np.stack(rows)
    if not grid.any():
        return Place((height - high) // 2, (width - wide) // 2, high, wide, changed=False)
    sums = np.pad(grid.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    down, across = (
        min(max(1, side // step), size) for side, size in zip((high, wide), grid.shape, strict=True)
    )
    within = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
    top, left = np.unravel_index(int(within.argmax()), within.shape)
    return Place(min(int(top) * step, height - high), min(int(left) * step, width - wide), high, wide)


def with_detail(before: Pixels, after: Pixels, names: Names, place: Place) -> Pixels:
    """Return a sheet: above the whole pictures, below them the detail; before at the left, after at the right.

    The whole is reduced where it is large. A detail has the picture's own pixels, or twice as large ones where the
    whole is shown nearly as large as it is.
    """
    _check_alike(before, after)
    dtype, (height, width) = before.dtype, before.shape[:2]
    times = _magnified(height, width)
    wholes = [_with_box(reduced(one, WHOLE_SIDE), place, height) for one in (before, after)]
    details = [place.of(one).repeat(times, axis=0).repeat(times, axis=1) for one in (before, after)]
    column = max(wholes[0].shape[1], details[0].shape[1], NARROWEST)
    gap = max(4, column // 60)
    full = 2 * column + gap
    letters = letter_height(wholes[0].shape[0] + details[0].shape[0], full, column)
    labels = (
        Label("before", names.before, 0, column),
        Label("after", names.after, column + gap, full),
    )
    percent = max(1, round(100 * wholes[0].shape[1] / width))
    why = "what changed most" if place.changed else "nothing changed"
    captions = (
        Label("above: the whole" + (f", at {percent} %" if percent < 100 else ""), "", 0, column),
        Label(f"below: {times}:1, {why}", "", column + gap, full),
    )
    parts = [
        label_band(full, letters, labels, dtype),
        _columns(wholes, column, gap),
        caption_band(full, max(SMALLEST, round(NAME_SIZE * letters)), captions, dtype),
        _columns(details, column, gap),
    ]
    return np.concatenate(parts, axis=0)


def _magnified(height: int, width: int) -> int:
    """Return how many times larger a detail's pixels are drawn."""
    return 1 if max(height, width) >= 2 * WHOLE_SIDE else 2


def _detail_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of a detail in the picture's own pixels."""
    times = _magnified(height, width)
    shown = min(1.0, WHOLE_SIDE / max(height, width)) / times
    high, wide = (max(round(side * shown), NARROWEST // times) for side in (height, width))
    return min(height, high), min(width, wide)


def _with_box(whole: Pixels, place: Place, height: int) -> Pixels:
    """Return a picture, maybe reduced from that height, with a box around a place: bright between dark lines."""
    scale = whole.shape[0] / height
    top, left = math.floor(place.top * scale), math.floor(place.left * scale)
    bottom = min(math.ceil((place.top + place.height) * scale), whole.shape[0])
    right = min(math.ceil((place.left + place.width) * scale), whole.shape[1])
    result = whole.copy()
    for inward, part in enumerate((0.0, BRIGHT, BRIGHT, 0.0)):
        box = result[top + inward : bottom - inward, left + inward : right - inward]
        if min(box.shape[:2]) > 0:
            box[[0, -1]] = box[:, [0, -1]] = level(part, whole.dtype)
    return result


def _columns(pair: list[Pixels], column: int, gap: int) -> Pixels:
    first, second = (_widened(one, column) for one in pair)
    between = _ground(first.shape[0], gap, first.dtype)
    return np.concatenate((first, between, second), axis=1)


def _widened(pixels: Pixels, width: int) -> Pixels:
    """Return a picture in the middle of so many pixels of width, if it has fewer."""
    height, own = pixels.shape[:2]
    if own >= width:
        return pixels
    left = (width - own) // 2
    sides = (_ground(height, left, pixels.dtype), pixels, _ground(height, width - own - left, pixels.dtype))
    return np.concatenate(sides, axis=1)


def _ground(height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    return np.full((height, width, 3), level(GROUND, dtype), dtype)


def _check_alike(before: Pixels, after: Pixels) -> None:
    if before.shape != after.shape or before.dtype != after.dtype:
        raise ValueError(f"{before.shape} {before.dtype} does not stand beside {after.shape} {after.dtype}")
