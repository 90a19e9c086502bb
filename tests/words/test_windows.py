"""Descriptions of pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cyclerdm_cli.words.windows import GRID, LARGE_SIDE, PATCH, SIDE, described


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    waves = 120 + 60 * np.sin(rows / 9)[..., None] * np.cos(columns / 13)[..., None] * np.array([1, 0.9, 0.7])
    return np.clip(waves + np.random.default_rng(seed).normal(0, 2, waves.shape), 0, 255).astype(np.uint8)


def by_window(pixels: np.ndarray) -> torch.Tensor:
    """Return (GRID, GRID, numbers)."""
    patches = described(pixels).unflatten(2, (GRID, PATCH)).unflatten(1, (GRID, PATCH))
    return patches.permute(1, 3, 0, 2, 4).flatten(2)


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (63, 65), (97, 131), (LARGE_SIDE + 300, 700)])
def test_any_size_is_described_and_finite(size: tuple[int, int]) -> None:
    found = described(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    assert found.shape == (3, SIDE, SIDE)
    assert bool(found.isfinite().all())


@pytest.mark.parametrize("value", [0, 255])
def test_a_blank_picture_is_described_and_finite(value: int) -> None:
    assert bool(described(np.full((80, 90, 3), value, np.uint8)).isfinite().all())


def test_windows_cover_the_picture_and_keep_their_places() -> None:
    pixels = texture(400, 500)
    noisy = pixels.copy()
    noise = np.random.default_rng(1).normal(0, 30, (60, 60, 3))
    noisy[340:, 440:] = np.clip(noisy[340:, 440:] + noise, 0, 255).astype(np.uint8)
    change = (by_window(noisy) - by_window(pixels))[..., :-8].abs().amax(-1)
    assert change.argmax() == GRID * GRID - 1
    assert change[: GRID // 2, : GRID // 2].max() < 0.2 * change[-1, -1]


def test_stronger_noise_and_blur_move_the_finest_detail_apart() -> None:
    pixels = texture(200, 200)
    noisy = np.clip(pixels + np.random.default_rng(1).normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    finest = [by_window(one)[..., 0].mean() for one in (pixels, noisy, np.full_like(pixels, 128))]
    assert finest[2] < finest[0] < finest[1]


def test_streaks_tell_their_direction() -> None:
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::4] = 200
    upright = by_window(stripes)
    lying = by_window(stripes.transpose(1, 0, 2).copy()).transpose(0, 1)
    differing = (upright - lying).abs().mean((0, 1)) > 0.5
    assert differing.any()
    # What does not depend on direction is the same.
    assert torch.allclose(upright[..., :10], lying[..., :10], atol=0.05)
