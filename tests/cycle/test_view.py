"""How a whole picture is looked at: any size, any depth, the same view whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import TINY, tiny_network
from torch import Tensor

from cyclerdm_cli.cycle.cycle import SMALL_SIDE, WINDOW_SIDE, View
from cyclerdm_cli.cycle.view import shrink_to_view, to_tensor, view_of, windows_of

CPU = torch.device("cpu")
SIZES = [(1, 1), (1, 300), (300, 1), (2, 3), (64, 64), (256, 256), (255, 257), (97, 700), (600, 513)]


def pixels_of(size: tuple[int, int], kind: type = np.uint8) -> NDArray[np.generic]:
    return np.random.default_rng(1).integers(0, np.iinfo(kind).max, (*size, 3), dtype=kind, endpoint=True)


def floating(pixels: NDArray[np.generic]) -> Tensor:
    """Map (H, W, 3) to (1, 3, H, W) in [0, 1]."""
    peak = np.iinfo(pixels.dtype).max  # type: ignore[type-var]
    return torch.from_numpy((pixels / peak).astype(np.float32)).permute(2, 0, 1)[None]


def test_what_a_network_does_not_look_at_is_not_made() -> None:
    asked: list[str] = []
    picture = torch.rand(1, 3, 64, 64)

    def make(part: str, made: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        def give() -> Tensor:
            asked.append(part)
            return made(picture)

        return give

    for light, deblurs, expected in (
        (False, False, []),
        (True, False, ["small"]),
        (False, True, ["windows"]),
    ):
        asked.clear()
        config = replace(TINY, light=light, deblurs=deblurs)
        tiny_network(config=config).look(View(make("small", shrink_to_view), make("windows", windows_of)))
        assert asked == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_picture_of_any_size_has_a_view(size: tuple[int, int], kind: type) -> None:
    pixels = pixels_of(size, kind)
    before = pixels.copy()
    view = view_of(pixels, CPU)
    assert view.small.shape == (1, 3, SMALL_SIDE, SMALL_SIDE)
    count = (1 + (size[0] > WINDOW_SIDE)) * (1 + (size[1] > WINDOW_SIDE))
    sides = (min(size[0], WINDOW_SIDE), min(size[1], WINDOW_SIDE))
    assert view.windows.shape == (1, count, 3, *sides)
    for part in (view.small, view.windows):
        assert part.dtype == torch.float32
        assert 0 <= float(part.min()) <= float(part.max()) <= 1
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("size", SIZES)
def test_eight_and_sixteen_bits_are_seen_alike(size: tuple[int, int]) -> None:
    eight = pixels_of(size)
    first, second = view_of(eight, CPU), view_of(eight.astype(np.uint16) * 257, CPU)
    torch.testing.assert_close(first.windows, second.windows, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        first.small, second.small, atol=2 / 255, rtol=0
    )  # each side is rounded to 8 bits
    assert float((first.small - second.small).mean().abs()) < 0.2 / 255


@pytest.mark.parametrize("size", SIZES)
def test_the_view_of_a_picture_does_not_depend_on_who_asks(size: tuple[int, int]) -> None:
    pixels = pixels_of(size, np.uint16)
    view, picture = view_of(pixels, CPU), floating(pixels)
    torch.testing.assert_close(shrink_to_view(picture), view.small, atol=2 / 65535, rtol=0)
    torch.testing.assert_close(windows_of(picture), view.windows, atol=1e-6, rtol=0)


def test_pictures_of_a_batch_are_seen_as_each_alone() -> None:
    pictures = torch.cat([floating(pixels_of((70, 300)))] * 2)
    pictures[1] = pictures[1].flip(1)
    for see in (shrink_to_view, windows_of):
        assert torch.equal(see(pictures), torch.cat([see(one[None]) for one in pictures]))


def test_what_is_shrunk_is_averaged_by_areas() -> None:
    pixels = pixels_of((3 * SMALL_SIDE, 2 * SMALL_SIDE), np.uint16)
    means = pixels.reshape(SMALL_SIDE, 3, SMALL_SIDE, 2, 3).mean((1, 3)) / 65535
    np.testing.assert_allclose(view_of(pixels, CPU).small[0].permute(1, 2, 0), means, atol=2e-5)


def test_an_even_picture_is_seen_even() -> None:
    for size in SIZES:
        view = view_of(np.full((*size, 3), (10, 100, 200), np.uint8), CPU)
        expected = torch.tensor([10, 100, 200]).view(1, 3, 1, 1) / 255
        torch.testing.assert_close(view.small, expected.expand(view.small.shape))


def test_windows_are_pieces_at_full_size_from_all_over_the_picture() -> None:
    pixels = pixels_of((WINDOW_SIDE + 40, 2 * WINDOW_SIDE))
    windows = view_of(pixels, CPU).windows[0]
    far = WINDOW_SIDE - WINDOW_SIDE // 4
    places = [(top, left) for top in (10, 30) for left in (WINDOW_SIDE // 4, far)]
    for window, (top, left) in zip(windows, places, strict=True):
        expected = floating(pixels[top : top + WINDOW_SIDE, left : left + WINDOW_SIDE])[0]
        torch.testing.assert_close(window, expected)


def test_pixels_become_a_tensor_whatever_their_strides() -> None:
    pixels = pixels_of((5, 8), np.uint16)[:, ::-1]
    made = to_tensor(pixels[None], 65535.0, CPU)
    assert made.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made, floating(pixels.copy()))
