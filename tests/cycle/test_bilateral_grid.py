"""Light and colour of the whole picture: what is known before learning, the grid, and what it can learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.cycle.light import (
    COEFFICIENTS,
    GRID_CELLS,
    GRID_LEVELS,
    KNOTS,
    MIDDLE_GREY,
    POWERS,
    ROWS_TOGETHER,
    Light,
    LightNetwork,
    apply_light,
    apply_power,
    find_power,
    guide_of,
    luma_of,
    slice_grid,
)

WIDTHS = (8, 8, 8, 8)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def light_of(batch: int, scale: float = 0.3) -> Light:
    """Return a light that changes something, other for each picture."""
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return scale * torch.randn((batch, *shape), generator=generator)

    grid = draw(COEFFICIENTS, GRID_LEVELS, GRID_CELLS, GRID_CELLS)
    return Light(grid, draw(3 + KNOTS), 1 + draw(1).abs(), draw(8))


@pytest.mark.parametrize("steps", [1, 3])
def test_before_anything_is_learned_nothing_is_changed(steps: int) -> None:
    picture = drawn(2, 3, 64, 64)
    said = LightNetwork(WIDTHS, brightens=False)(picture, steps)
    assert len(said) == steps
    for light in said:
        torch.testing.assert_close(apply_light(picture, light, Place.whole(picture)), picture)


def test_before_anything_is_learned_dark_pictures_are_raised_to_the_power_alone() -> None:
    picture = drawn(2, 3, 64, 64) * 0.2
    light = LightNetwork(WIDTHS, brightens=True)(picture, 1)[-1]
    made = apply_light(picture, light, Place.whole(picture))
    torch.testing.assert_close(made, picture.clamp_min(1e-4) ** light.power[:, :, None, None])
    assert bool((made.mean((1, 2, 3)) > 2 * picture.mean((1, 2, 3))).all())


@pytest.mark.parametrize("level", [0.03, 0.1, 0.3, 0.6])
def test_the_power_curve_brings_an_even_picture_to_a_middle_grey(level: float) -> None:
    picture = torch.full((1, 3, 32, 32), level)
    made = apply_power(picture, find_power(picture))
    torch.testing.assert_close(luma_of(made), torch.full((1, 1, 32, 32), MIDDLE_GREY), atol=1e-4, rtol=0)


def test_the_power_curve_brings_a_dark_photograph_near_a_middle_grey(photograph: NDArray[np.uint8]) -> None:
    picture = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255 * 0.1
    made = apply_power(picture, find_power(picture))
    assert float(luma_of(made).mean()) == pytest.approx(MIDDLE_GREY, abs=0.05)


def test_the_power_stays_within_bounds_even_of_black_and_white() -> None:
    extremes = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    power = find_power(extremes)
    assert power.shape == (2, 1)
    assert bool(((power >= POWERS[0]) & (power <= POWERS[1])).all())
    assert bool(apply_power(extremes, power).isfinite().all())


def test_the_guide_is_the_luma_before_anything_is_learned_and_stays_within_the_grid() -> None:
    picture = drawn(2, 3, 16, 16)
    torch.testing.assert_close(guide_of(picture, torch.zeros(2, 3 + KNOTS)), luma_of(picture))
    bent = guide_of(4 * picture - 2, light_of(2).curve)
    assert bool(((bent >= 0) & (bent <= 1)).all())


def interpolated(grid: NDArray[np.float64], row: float, column: float, level: float) -> NDArray[np.float64]:
    """Return (C,) between the cells of (C, levels, rows, columns), all in cells, the outermost going on."""
    result = np.zeros(grid.shape[0])
    places = [
        np.clip(place, 0, length - 1)
        for place, length in zip((level, row, column), grid.shape[1:], strict=True)
    ]
    for corner in np.ndindex(2, 2, 2):
        index, weight = [], 1.0
        for place, length, upper in zip(places, grid.shape[1:], corner, strict=True):
            below = min(int(place), length - 1)
            weight *= place - below if upper else 1 - (place - below)
            index.append(min(below + upper, length - 1))
        result += weight * grid[:, *index]
    return result


@pytest.mark.parametrize("height", [5, ROWS_TOGETHER])
def test_the_grid_is_interpolated_between_its_cells(height: int) -> None:
    light, guide = light_of(2), drawn(2, 1, height, 7, seed=2)
    size, corners = (80, 40), torch.tensor([[0.0, 0.0], [12.0, 33.0]])
    found = slice_grid(light.grid, guide, Place(corners, size))
    assert found.shape == (2, COEFFICIENTS, height, 7)
    for item, row, column in [(0, 0, 0), (0, 4, 6), (0, 2, 3), (1, 0, 0), (1, 3, 5), (1, height - 1, 6)]:
        top, left = corners[item].tolist()
        expected = interpolated(
            light.grid[item].double().numpy(),
            (row + top + 0.5) / size[0] * GRID_CELLS - 0.5,
            (column + left + 0.5) / size[1] * GRID_CELLS - 0.5,
            float(guide[item, 0, row, column]) * GRID_LEVELS - 0.5,
        )
        np.testing.assert_allclose(found[item, :, row, column].numpy(), expected, atol=1e-5)


def test_a_pixel_is_transformed_by_the_matrix_and_offset_of_its_place() -> None:
    """The same transform in every cell: then it is a matrix, whatever guide and place."""
    matrix, offset = (
        torch.randn(3, 3, generator=torch.Generator().manual_seed(1)),
        torch.tensor([0.1, 0.2, -0.3]),
    )
    numbers = torch.cat([matrix.flatten(), offset])
    grid = numbers.view(1, -1, 1, 1, 1).expand(1, COEFFICIENTS, GRID_LEVELS, GRID_CELLS, GRID_CELLS)
    picture = drawn(1, 3, 12, 20)
    light = Light(grid, torch.zeros(1, 3 + KNOTS), torch.ones(1, 1), torch.zeros(1, 8))
    expected = picture + torch.einsum("ij,bjhw->bihw", matrix, picture) + offset[:, None, None]
    torch.testing.assert_close(apply_light(picture, light, Place.whole(picture)), expected)


def test_a_tile_comes_out_as_it_does_inside_the_whole_picture() -> None:
    picture, light = drawn(2, 3, 96, 128), light_of(2)
    whole = apply_light(picture, light, Place.whole(picture))
    for corners, height, width in (([[16, 8], [0, 64]], 64, 48), ([[31, 40], [5, 5]], 40, 72)):
        tiles = torch.stack(
            [
                one[:, top : top + height, left : left + width]
                for one, (top, left) in zip(picture, corners, strict=True)
            ]
        )
        inside = torch.stack(
            [
                one[:, top : top + height, left : left + width]
                for one, (top, left) in zip(whole, corners, strict=True)
            ]
        )
        made = apply_light(tiles, light, Place(torch.tensor(corners).float(), (96, 128)))
        torch.testing.assert_close(made, inside, atol=1e-5, rtol=1e-5)


def test_what_is_said_depends_on_the_whole_picture() -> None:
    torch.manual_seed(0)
    network = LightNetwork(WIDTHS, brightens=False).requires_grad_(False)
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    picture = drawn(1, 3, 64, 64)
    other = picture.clone()
    other[..., 32:] = 0
    first, second = network(picture, 1)[-1], network(other, 1)[-1]
    assert float((first.description - second.description).abs().max()) > 0
    assert float((first.grid - second.grid)[..., 0].abs().max()) > 0  # on the side that is the same
    assert first.description.shape == (1, network.length)


def test_each_step_sees_what_the_one_before_made() -> None:
    torch.manual_seed(0)
    network = LightNetwork(WIDTHS, brightens=False).requires_grad_(False)
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    picture = drawn(1, 3, 64, 64)
    said = network(picture, 2)
    assert not torch.equal(said[0].grid, said[1].grid)


def test_a_grid_learns_a_darkening_that_no_single_gamma_undoes() -> None:
    """Dark on the left and at the bottom, as a light from the right leaves it: 25 steps of Adam beat any gamma."""
    clean = torch.nn.functional.interpolate(drawn(1, 3, 6, 6), (32, 32), mode="bicubic").clamp(0.05, 0.95)
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing="ij")
    dark = clean * (0.25 + 0.75 * columns * (1 - rows))
    gammas = [float((dark**power - clean).abs().mean()) for power in np.linspace(0.2, 1.2, 41)]
    light = Light(
        torch.zeros(1, COEFFICIENTS, GRID_LEVELS, GRID_CELLS, GRID_CELLS, requires_grad=True),
        torch.zeros(1, 3 + KNOTS), torch.ones(1, 1), torch.zeros(1, 8),
    )  # fmt: skip
    optimizer = torch.optim.Adam([light.grid], lr=0.1)
    for _ in range(25):
        optimizer.zero_grad()
        error = (apply_light(dark, light, Place.whole(dark)) - clean).abs().mean()
        error.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert error.item() < 0.7 * min(gammas)
