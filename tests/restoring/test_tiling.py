"""Tiles cover every pixel, are nearly equal, and blend back into what they were cut from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.restoring.tiling import Blender, cut, places, plan_axis, plan_grid

sides = st.integers(1, 900)


@given(
    length=st.integers(1, 5000),
    tile=st.sampled_from([0, 128, 256, 512]),
    overlap=st.sampled_from([0, 32, 64]),
)
def test_an_axis_is_covered_by_tiles_on_the_grid(length: int, tile: int, overlap: int) -> None:
    axis = plan_axis(length, tile, overlap, 32)
    last = axis.start(axis.count - 1)
    assert length <= last + axis.tile < length + 32, "the last tile ends where the picture does"
    assert last % 32 == 0
    assert 0 <= axis.unused(axis.count - 1) < axis.stride
    assert [axis.start(index) for index in range(axis.count - 1)] == list(range(0, last, axis.stride))
    assert axis.tile % 32 == 0
    assert axis.stride % 32 == 0
    if tile and axis.count > 1:
        assert axis.tile <= tile
        assert axis.overlap >= overlap


@given(length=st.integers(33, 5000), tile=st.sampled_from([128, 256, 512]))
def test_no_two_tiles_overlap_by_nearly_all(length: int, tile: int) -> None:
    axis = plan_axis(length, tile, 32, 32)
    if axis.count > 1:
        assert axis.overlap == 32


@given(length=st.integers(130, 3000))
def test_windows_sum_to_one_everywhere(length: int) -> None:
    axis = plan_axis(length, 128, 48, 32)
    total = np.zeros(axis.start(axis.count - 1) + axis.tile)
    for index in range(axis.count):
        window = axis.window(index)
        assert len(window) == axis.tile - axis.unused(index)
        total[index * axis.stride :][: len(window)] += window
    np.testing.assert_allclose(total, 1, atol=1e-6)


@settings(deadline=None)  # nothing is said of time, and a busy machine takes long now and then
@given(height=sides, width=sides, tile=st.sampled_from([0, 128, 256]))
def test_cutting_and_blending_gives_the_picture_back(height: int, width: int, tile: int) -> None:
    picture = np.random.default_rng(height * 1000 + width).random((height, width, 3), np.float32)
    grid = plan_grid((height, width), tile, 32, 32)
    blender = Blender(grid, 3)
    result = np.full_like(picture, np.nan)
    for group in places(grid, 2):
        for place in group:
            piece = cut(picture, grid, *place)
            assert piece.shape == (grid.rows.tile, grid.columns.tile, 3)
            rows, columns, values = blender.add(*place, piece)
            assert np.isnan(result[rows, columns]).all(), "no pixel comes twice"
            result[rows, columns] = values
    np.testing.assert_allclose(result, picture, atol=1e-6)


def test_rows_out_of_order_are_a_programmers_mistake() -> None:
    grid = plan_grid((400, 300), 128, 32, 32)
    with pytest.raises(ValueError, match="row 2"):
        Blender(grid, 3).add(2, 0, np.zeros((128, 128, 3), np.float32))


def test_a_tile_smaller_than_two_overlaps_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot overlap"):
        plan_axis(1000, 64, 64, 32)


def test_what_lies_beyond_a_one_pixel_picture_is_that_pixel() -> None:
    picture = np.full((1, 1, 3), 7, np.uint8)
    tile = cut(picture, plan_grid((1, 1), 0, 0, 32), 0, 0)
    assert tile.shape == (32, 32, 3)
    assert (tile == 7).all()
