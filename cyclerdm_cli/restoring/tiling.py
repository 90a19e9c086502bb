"""Cutting a picture into tiles of equal size and blending the results without seams. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import UsageError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Axis:
    """How one side of a picture is covered: `count` tiles of `tile` pixels, one every `stride`.

    The last tile ends where the picture does, on the network's grid, and sees more of its neighbour instead of what
    is beyond; so the picture's end looks to the network as it does without tiles. The pixels up to the grid are
    reflected. Every tile starts at a multiple of the grid, so that a pixel falls on the same place of it whatever
    the tile.
    """

    length: int
    tile: int
    stride: int
    count: int
    last: int = 0
    """Where the last tile starts."""

    @property
    def overlap(self) -> int:
        """Pixels that two neighbours share."""
        return self.tile - self.stride

    def start(self, index: int) -> int:
        """Return the first pixel that a tile sees."""
        return self.last if index == self.count - 1 else index * self.stride

    def seen_later(self, strip: slice) -> int:
        """Return the first pixel of a strip of one stride that the next tile sees; its end where there is none."""
        following = strip.start // self.stride + 1
        if following >= self.count:
            return strip.stop
        return min(max(self.start(following), strip.start), strip.stop)

    def unused(self, index: int) -> int:
        """Return how many of a tile's first pixels are left to its neighbour alone."""
        return index * self.stride - self.start(index)

    def window(self, index: int) -> Floats:
        """Return the weights of the used pixels of one tile along this axis: (tile - unused,) in [0, 1].

        Neighbours' weights sum to 1. The outer quarter of an overlap counts nothing: there a tile sees least of
        its surroundings.
        """
        weights = np.ones(self.tile - self.unused(index), np.float32)
        margin = self.overlap // 4
        ramp = np.clip((np.arange(self.overlap) + 0.5 - margin) / max(self.overlap - 2 * margin, 1), 0, 1)
        smooth = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
        if index > 0:
            weights[: self.overlap] = smooth
        if index < self.count - 1:
            weights[self.stride :] = 1 - smooth
        return weights


@dataclass(frozen=True)
class Grid:
    """The tiles of a picture."""

    rows: Axis
    columns: Axis

    def __len__(self) -> int:
        return self.rows.count * self.columns.count


def plan_axis(length: int, tile: int, overlap: int, multiple: int) -> Axis:
    """Cover a side with tiles as nearly equal to the wanted size as the grid allows, never larger.

    Args:
        length: of the side, in pixels, 1 or more.
        tile: wanted size; 0 for one tile.
        overlap: wanted, between neighbours; rounded up to the multiple.
        multiple: of the network; tiles and strides are multiples of it.

    Raises:
        UsageError: the tile is not larger than twice the overlap.
    """
    whole = math.ceil(length / multiple) * multiple
    tile = tile // multiple * multiple
    if tile == 0 or tile >= whole:
        return Axis(length, whole, whole, 1)
    overlap = math.ceil(overlap / multiple) * multiple
    if tile < 2 * overlap:
        raise UsageError(
            f"tiles of {tile} pixels cannot overlap by {overlap}",
            hint=f"--tile {2 * overlap} or more, or a smaller --overlap (multiples of {multiple})",
        )
    count = math.ceil((length - overlap) / (tile - overlap))
    stride = math.ceil((length - overlap) / count / multiple) * multiple  # equal: none overlaps by nearly all
    count = math.ceil((length - overlap) / stride)
    return Axis(length, stride + overlap, stride, count, whole - stride - overlap)


def plan_grid(size: tuple[int, int], tile: int, overlap: int, multiple: int) -> Grid:
    """Cover a picture of (height, width) pixels; see `plan_axis`."""
    return Grid(*(plan_axis(length, tile, overlap, multiple) for length in size))


def cut(picture: NDArray[np.generic], grid: Grid, row: int, column: int) -> NDArray[np.generic]:
    """Return one tile of (H, W, ...), reflected where it reaches beyond the picture."""
    top, left = grid.rows.start(row), grid.columns.start(column)
    tile = picture[top : top + grid.rows.tile, left : left + grid.columns.tile]
    beyond = ((0, grid.rows.tile - tile.shape[0]), (0, grid.columns.tile - tile.shape[1]))
    if not any(after for _, after in beyond):
        return tile
    # numpy reflects again and again where the picture is smaller than what is missing.
    return np.pad(tile, (*beyond, *((0, 0),) * (picture.ndim - 2)), mode="reflect")


class Blender:
    """Adds up tiles and gives away each block of the picture as soon as it is complete.

    Beside the last tile, only what the next tile to the right and the next row of tiles add to is kept, in float32.
    """

    def __init__(self, grid: Grid, channels: int) -> None:
        self.grid = grid
        self._row = 0
        self._below = np.zeros((grid.rows.overlap, grid.columns.length, channels), np.float32)
        self._right = np.zeros((grid.rows.tile, grid.columns.overlap, channels), np.float32)

    def add(self, row: int, column: int, tile: Floats) -> tuple[slice, slice, Floats]:
        """Add a tile's result, (tile height, tile width, C); rows must come in order, and columns within them.

        Returns:
            Which rows and columns of the picture are complete now, and their values (h, w, C), which are the
            caller's to change.
        """
        if row not in (self._row, self._row + 1):
            raise ValueError(f"a tile of row {row} while row {self._row} is open")
        self._row = row
        rows, columns = self.grid.rows, self.grid.columns
        used = tile[rows.unused(row) :, columns.unused(column) :]
        top, left = row * rows.stride, column * columns.stride
        used = used[: rows.length - top, : columns.length - left]
        window = rows.window(row)[: used.shape[0], None] * columns.window(column)[None, : used.shape[1]]
        sums = used * window[:, :, None]
        shared = columns.overlap if column else 0
        sums[:, :shared] += self._right[: len(sums), :shared]
        if row:  # where the tile to the left has its share, it has added this already
            sums[: rows.overlap, shared:] += self._below[:, left + shared : left + sums.shape[1]]
        height = len(sums) if row == rows.count - 1 else rows.stride
        width = sums.shape[1] if column == columns.count - 1 else columns.stride
        self._right[: len(sums), : sums.shape[1] - width] = sums[:, width:]
        self._below[: len(sums) - height, left : left + width] = sums[height:, :width]
        return slice(top, top + height), slice(left, left + width), sums[:height, :width]


def places(grid: Grid, batch: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the tiles' (row, column) in order, in groups of at most `batch` of the same row."""
    for row in range(grid.rows.count):
        for first in range(0, grid.columns.count, batch):
            yield [(row, column) for column in range(first, min(first + batch, grid.columns.count))]
