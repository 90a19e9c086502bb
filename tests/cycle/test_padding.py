"""Padding: any size from 1x1 becomes a size that a network takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cyclerdm_cli.cycle.padding import padded


def test_reflects_at_the_right_and_the_bottom() -> None:
    picture = torch.rand((2, 3, 40, 50), generator=torch.Generator().manual_seed(0))
    expected = np.pad(picture.numpy(), ((0, 0), (0, 0), (0, 24), (0, 14)), mode="reflect")
    assert np.array_equal(padded(picture, 32).numpy(), expected)


def test_a_side_too_short_to_reflect_repeats_its_edge_and_the_other_still_reflects() -> None:
    picture = torch.rand((1, 3, 4, 30), generator=torch.Generator().manual_seed(0))
    wide = np.pad(picture.numpy(), ((0, 0), (0, 0), (0, 0), (0, 2)), mode="reflect")
    expected = np.pad(wide, ((0, 0), (0, 0), (0, 28), (0, 0)), mode="edge")
    assert np.array_equal(padded(picture, 32).numpy(), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (16, 17), (17, 16), (31, 2), (32, 64)])
def test_any_size_fits_and_keeps_its_pixels(size: tuple[int, int]) -> None:
    picture = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
    result = padded(picture, 32)
    assert result.shape[2:] == tuple(-(-side // 32) * 32 for side in size)
    assert torch.equal(result[..., : size[0], : size[1]], picture)
