"""The light of a frame among its neighbours: steady where nothing moves, its own where something does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.cycle.light import Light, apply_light
from cyclerdm_cli.cycle.steady import PARTS, Seen, mirrored, see, steadied
from cyclerdm_cli.cycle.view import to_tensor, view_of_batch

LIT = replace(TINY, task="low-light", light=True, brightens=True)
WEIGHTS = [0.6, 0.9, 1.0, 0.9, 0.6]
EXPOSURES = [1.0, 0.8, 1.3, 0.9, 1.1]
SIDE = 256
MOVED = slice(64, 112)
"""Rows and columns where a frame may show something else: three cells of the grid."""


def scene() -> np.ndarray:
    """Return a dark picture of blocks, (256, 256, 3) in [0, 1]."""
    blocks = np.random.default_rng(2).random((8, 8, 3))
    return 0.2 * np.kron(blocks, np.ones((32, 32, 1)))


def frames(exposures: list[float], moved: int | None = None) -> list[Seen]:
    """Return one dark scene at several exposures, and noise in each; in one of them something moved."""
    network = tiny_network(config=LIT)
    rng = np.random.default_rng(3)
    found = []
    with torch.inference_mode():
        for number, exposure in enumerate(exposures):
            shown = scene()
            if number == moved:
                shown[MOVED, MOVED] = 0.3 - shown[MOVED, MOVED]
            noisy = shown * exposure + rng.normal(0, 0.02, shown.shape)
            sample = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)
            small = picture_of(sample)
            light: Light = network.look(view_of_batch(small)).light
            found.append(see(sample, light))
    return found


def picture_of(sample: np.ndarray) -> torch.Tensor:
    return to_tensor(sample[None], 255, torch.device("cpu"))


def colours_in(frame: Seen, light: Light, cell: int) -> torch.Tensor:
    """Return the mean colours of squares of a frame, (1, 3, n, n), in some light."""
    picture = picture_of(frame.sample)
    lit = apply_light(picture, light, Place.whole(picture)).clamp(0, 1)
    return torch.nn.functional.avg_pool2d(lit, cell)


def test_a_frame_alone_keeps_its_own_light() -> None:
    (one,) = frames([1.0])
    assert steadied([one], [1.0], 0) is one.light


def test_colours_come_to_the_mean_of_the_neighbours() -> None:
    seen = frames(EXPOSURES)
    means = torch.cat([colours_in(one, one.light, SIDE) for one in seen])
    wanted = (means * (torch.tensor(WEIGHTS) / sum(WEIGHTS))[:, None, None, None]).sum(0, keepdim=True)
    assert means.std(0).max() > 1e-3
    for own, frame in enumerate(seen):
        found = colours_in(frame, steadied(seen, WEIGHTS, own), SIDE)
        assert torch.allclose(found, wanted, atol=2e-3)


def test_a_place_where_nothing_moves_does_not_flicker() -> None:
    seen = frames(EXPOSURES)
    each = torch.cat([colours_in(one, one.light, 16) for one in seen])
    steady = torch.cat([colours_in(one, steadied(seen, WEIGHTS, own), 16) for own, one in enumerate(seen)])
    assert steady.std(0).mean() < 0.35 * each.std(0).mean()


def test_where_something_moves_neighbours_do_not_count() -> None:
    exposures = [1.0] * 5
    still, moved = frames(exposures), frames(exposures, moved=2)
    inside = slice(MOVED.start // 16, MOVED.stop // 16)
    own = colours_in(moved[2], moved[2].light, 16)[:, :, inside, inside]
    other = colours_in(still[2], still[2].light, 16)[:, :, inside, inside]
    found = colours_in(moved[2], steadied(moved, WEIGHTS, 2), 16)[:, :, inside, inside]
    assert (found - own).abs().mean() < 0.05 * (other - own).abs().mean()
    neighbour = colours_in(moved[1], steadied(moved, WEIGHTS, 1), 16)[:, :, inside, inside]
    assert (neighbour - other).abs().mean() < 0.05 * (other - own).abs().mean()


def test_without_its_pixels_a_frame_counts_the_same_for_others() -> None:
    seen = frames(EXPOSURES)
    forgotten = [one.for_others() if own < 2 else one for own, one in enumerate(seen)]
    assert torch.equal(steadied(seen, WEIGHTS, 2).grid, steadied(forgotten, WEIGHTS, 2).grid)
    assert seen[2].colours.shape[-1] == PARTS * seen[2].light.grid.shape[-1]


def test_a_mirror_image_gets_the_mirrored_light() -> None:
    (one,) = frames([1.0])
    light = one.light._replace(
        grid=torch.randn(one.light.grid.shape, generator=torch.Generator().manual_seed(1))
    )
    picture = picture_of(one.sample)
    plain = apply_light(picture, light, Place.whole(picture))
    for rows, columns in ((False, False), (True, False), (False, True), (True, True)):
        axes = [axis for axis, turns in ((2, rows), (3, columns)) if turns]
        small = picture.flip(axes)
        found = apply_light(small, mirrored(light, rows, columns), Place.whole(small)).flip(axes)
        assert torch.allclose(found, plain, atol=1e-4)
