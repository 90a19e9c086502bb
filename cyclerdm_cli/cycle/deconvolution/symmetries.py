"""The eight symmetries of a square, by which kernels and the clues to them are mirrored and turned."""

from __future__ import annotations

from torch import Tensor

from cyclerdm_cli.cycle.deconvolution.kernel_search import (
    DIRECTIONS,
    NUMBER_OF_CLUES,
    NUMBER_OF_CORRELATIONS,
)

NUMBER_OF_SYMMETRIES = 8
"""Ways to mirror and turn a picture onto the grid of its pixels."""
SWAP_COLUMNS, SWAP_ROWS, TRANSPOSE = 1, 2, 4
"""Bits of a symmetry: left and right exchanged, then top and bottom, then rows and columns."""


def mirror(planes: Tensor, symmetry: int) -> Tensor:
    """Mirror and turn (..., S, S) by a symmetry, the sum of its bits, in [0, NUMBER_OF_SYMMETRIES)."""
    if symmetry & SWAP_COLUMNS:
        planes = planes.flip(-1)
    if symmetry & SWAP_ROWS:
        planes = planes.flip(-2)
    return planes.transpose(-1, -2) if symmetry & TRANSPOSE else planes


def mirror_back(planes: Tensor, symmetry: int) -> Tensor:
    """Undo `mirror` of (..., S, S) by the same symmetry."""
    if symmetry & TRANSPOSE:
        planes = planes.transpose(-1, -2)
    return mirror(planes, symmetry & (SWAP_COLUMNS | SWAP_ROWS))


def clues_mirrored(maps: Tensor, symmetry: int) -> Tensor:
    """Return the clues of pictures as they are if these are mirrored or turned.

    Args:
        maps: (B, NUMBER_OF_CLUES, S, S), see `clues`.
        symmetry: see `mirror`.
    """
    across, down, falling, rising = range(len(DIRECTIONS))
    if symmetry & TRANSPOSE:
        across, down = down, across
    if bool(symmetry & SWAP_COLUMNS) != bool(symmetry & SWAP_ROWS):
        falling, rising = rising, falling
    directions = [across, down, falling, rising]
    # As `correlate_slopes` lays them out: each direction, all together, triggered ones, their asymmetry.
    together, triggered, asymmetry = 4, 5, 9
    order = [*directions, together, *(start + one for start in (triggered, asymmetry) for one in directions)]
    return mirror(maps[:, [*order, *range(NUMBER_OF_CORRELATIONS, NUMBER_OF_CLUES)]], symmetry)
