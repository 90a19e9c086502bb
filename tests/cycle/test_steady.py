"""The light of a frame among its neighbours: steady, at the exposure of its own, and its own where it is alone."""

from __future__ import annotations

from dataclasses import replace

import torch
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.cycle import Place, View
from cyclerdm_cli.cycle.light import Light, apply_light
from cyclerdm_cli.cycle.steady import Seen, mirrored, see, steadied

LIT = replace(TINY, task="low-light", light=True, brightens=True)
WEIGHTS = [0.6, 0.9, 1.0, 0.9, 0.6]


def light_of(network: torch.nn.Module, small: torch.Tensor) -> Light:
    found: Light = network.look(View(small, small[:, None])).light  # type: ignore[operator]
    return found


def frames(exposures: list[float]) -> list[Seen]:
    """Return one dark scene at several exposures, and noise in each."""
    network = tiny_network(config=LIT)
    generator = torch.Generator().manual_seed(2)
    scene = torch.rand((1, 3, 8, 8), generator=generator).repeat_interleave(32, 2).repeat_interleave(32, 3)
    found = []
    with torch.inference_mode():
        for exposure in exposures:
            noise = 0.02 * torch.randn(scene.shape, generator=generator)
            small = (0.2 * exposure * scene + noise).clamp(0, 1)
            found.append(see(small, light_of(network, small)))
    return found


def means_in(frame: Seen, light: Light) -> torch.Tensor:
    return apply_light(frame.sample, light, Place.whole(frame.sample)).clamp(0, 1).mean((2, 3))


def test_a_frame_alone_keeps_its_own_light() -> None:
    (one,) = frames([1.0])
    assert steadied([one], [1.0], 0) is one.light


def test_colours_come_to_the_mean_of_the_neighbours() -> None:
    seen = frames([1.0, 0.8, 1.3, 0.9, 1.1])
    shares = torch.tensor(WEIGHTS)[:, None] / sum(WEIGHTS)
    wanted = (torch.cat([one.means for one in seen]) * shares).sum(0, keepdim=True)
    assert torch.cat([one.means for one in seen]).std(0).max() > 1e-3
    for own, frame in enumerate(seen):
        assert torch.allclose(means_in(frame, steadied(seen, WEIGHTS, own)), wanted, atol=1e-3)


def test_a_mirror_image_gets_the_mirrored_light() -> None:
    (one,) = frames([1.0])
    light = one.light._replace(
        grid=torch.randn(one.light.grid.shape, generator=torch.Generator().manual_seed(1))
    )
    plain = apply_light(one.sample, light, Place.whole(one.sample))
    for rows, columns in ((False, False), (True, False), (False, True), (True, True)):
        axes = [axis for axis, turns in ((2, rows), (3, columns)) if turns]
        small = one.sample.flip(axes)
        found = apply_light(small, mirrored(light, rows, columns), Place.whole(small)).flip(axes)
        assert torch.allclose(found, plain, atol=1e-4)
