"""Rain, snow and drops on the glass: what training and the people who read its pictures rely on."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.tasks.degradation import Degradation, degradation_of
from cyclerdm_cli.tasks.derain import rain_light
from cyclerdm_cli.tasks.desnow import snow_cover
from cyclerdm_cli.tasks.draw import smooth_field
from cyclerdm_cli.tasks.stamping import scattered, stamped, window

WEATHER = ("derain", "desnow", "raindrop")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes(batch: int, height: int = 64, width: int = 64) -> Tensor:
    """Smooth coloured pictures with a coarse pattern of high contrast."""
    channels = [smooth_field(batch, height, width, 6, seeded(10 + channel)) for channel in range(3)]
    return 0.05 + 0.85 * torch.cat(channels, 1)


def damage(degrade: Degradation, clean: Tensor, severity: float, seed: int = 0) -> Tensor:
    return degrade(clean, torch.full((clean.shape[0],), severity), seeded(seed)).lq


def psnr(lq: Tensor, clean: Tensor) -> Tensor:
    return -10 * ((lq - clean) ** 2).mean((1, 2, 3)).clamp_min(1e-8).log10()


@pytest.fixture(params=WEATHER)
def degrade(request: pytest.FixtureRequest) -> Degradation:
    return degradation_of(find_task(request.param))


def test_same_generator_state_same_damage(degrade: Degradation) -> None:
    clean = scenes(2, 32, 32)
    assert torch.equal(damage(degrade, clean, 0.6, seed=4), damage(degrade, clean, 0.6, seed=4))
    assert not torch.equal(damage(degrade, clean, 0.6, seed=4), damage(degrade, clean, 0.6, seed=5))


def test_chance_comes_from_the_generator_alone(degrade: Degradation) -> None:
    clean = scenes(2, 32, 32)
    before = torch.get_rng_state()
    damage(degrade, clean, 0.6)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [(8, 8), (40, 72), (75, 33)])
def test_shape_range_and_the_clean_picture_are_kept(degrade: Degradation, size: tuple[int, int]) -> None:
    clean = scenes(2, *size)
    kept = clean.clone()
    for severity in (0.0, 0.5, 1.0):
        degraded = degrade(clean, torch.full((2,), severity), seeded(1))
        assert degraded.mask is None
        assert degraded.lq.shape == clean.shape
        assert degraded.lq.dtype == torch.float32
        assert bool(degraded.lq.isfinite().all())
        assert 0 <= float(degraded.lq.min()) <= float(degraded.lq.max()) <= 1
    assert torch.equal(clean, kept)


def test_worse_with_severity(degrade: Degradation) -> None:
    clean = scenes(32, 48, 48)
    errors = [
        float((damage(degrade, clean, severity) - clean).abs().mean()) for severity in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 4 * errors[0]


def test_barely_visible_to_severe(degrade: Degradation) -> None:
    clean = scenes(24)
    assert float(psnr(damage(degrade, clean, 0.0), clean).median()) > 33
    assert float(psnr(damage(degrade, clean, 1.0), clean).median()) < 25


def test_each_picture_has_its_own_severity(degrade: Degradation) -> None:
    clean = scenes(1, 48, 48).expand(24, -1, -1, -1)
    severity = torch.cat([torch.zeros(12), torch.ones(12)])
    error = (degrade(clean, severity, seeded(2)).lq - clean).abs().mean((1, 2, 3))
    assert float(error[12:].mean()) > 4 * float(error[:12].mean())


def test_pictures_of_a_batch_differ(degrade: Degradation) -> None:
    clean = scenes(1, 32, 32).expand(8, -1, -1, -1)
    damaged = damage(degrade, clean, 0.8)
    for other in range(1, 8):
        assert not torch.equal(damaged[0], damaged[other])


@pytest.mark.parametrize("task", ["derain", "desnow"])
def test_rain_and_snow_brighten_the_dark(task: str) -> None:
    black = torch.zeros(8, 3, 64, 64)
    damaged = damage(degradation_of(find_task(task)), black, 1.0)
    assert bool((damaged.amax((1, 2, 3)) > 0.2).all())


def test_light_rain_only_adds_light() -> None:
    rain = rain_light(torch.zeros(8, 3, 64, 64), torch.full((8,), 0.3), seeded(0))
    assert float(rain.min()) >= 0
    assert float(rain.max()) > 0.1


def test_light_rain_leaves_most_of_the_picture_alone() -> None:
    rain = rain_light(torch.zeros(32, 3, 64, 64), torch.full((32,), 0.25), seeded(0))
    covered = (rain > 0.05).float().mean((1, 2, 3))
    assert 0.01 < float(covered.median()) < 0.4


def test_streaks_are_drawn_out_near_the_vertical() -> None:
    rain = rain_light(torch.zeros(24, 3, 80, 80), torch.full((24,), 0.4), seeded(3))
    rain = rain - rain.mean((2, 3), keepdim=True)
    upwards = (rain[:, :, 4:] * rain[:, :, :-4]).mean()
    sideways = (rain[..., 4:] * rain[..., :-4]).mean()
    assert float(upwards) > 3 * float(sideways.abs())


def test_the_wind_differs_between_pictures() -> None:
    rain = rain_light(torch.zeros(32, 3, 64, 64), torch.full((32,), 0.4), seeded(3))
    down, right = rain[:, :, 1:, :-1] - rain[:, :, :-1, :-1], rain[:, :, :-1, 1:] - rain[:, :, :-1, :-1]
    slant = 0.5 * torch.atan2(2 * (down * right).mean((1, 2, 3)), (right**2 - down**2).mean((1, 2, 3)))
    assert float(slant.std()) > math.radians(8)


def test_snow_covers_at_most_everything_and_more_when_heavy() -> None:
    clean = torch.zeros(24, 3, 64, 64)
    light, heavy = (snow_cover(clean, torch.full((24,), severity), seeded(0)) for severity in (0.2, 1.0))
    assert float(light.min()) >= 0
    assert float(heavy.max()) <= 1
    assert float(heavy.mean()) > 3 * float(light.mean())


def test_drops_leave_the_scene_between_them_sharp() -> None:
    clean = scenes(12, 80, 80)
    change = (damage(degradation_of(find_task("raindrop")), clean, 0.4) - clean).abs().amax(1)
    assert float((change < 0.03).float().mean((1, 2)).median()) > 0.5
    assert float(change.amax((1, 2)).median()) > 0.2


def test_drops_do_not_change_an_evenly_white_view_to_black() -> None:
    white = torch.ones(4, 3, 64, 64)
    damaged = damage(degradation_of(find_task("raindrop")), white, 0.8)
    assert float(damaged.mean()) > 0.85


def test_windows_add_up_and_end_at_the_border() -> None:
    rows, columns = torch.tensor([[2.0, 2.0, 0.0, 40.0]]), torch.tensor([[3.0, 3.0, 0.0, 40.0]])
    ys, xs = window(rows.view(1, 4, 1, 1), columns.view(1, 4, 1, 1), 3, 3)
    canvas = stamped(6, 7, ys, xs, torch.ones(1, 1, 4, 3, 3))
    expected = torch.zeros(6, 7)
    expected[1:4, 2:5] += 2  # two at the same place
    expected[:2, :2] += 1  # one at the corner, cut; the fourth is outside
    assert torch.equal(canvas[0, 0], expected)


def test_scattered_positions_reach_past_the_frame() -> None:
    rows, columns = scattered(4, 50, 80, 0.05, 10, seeded(0))
    assert rows.shape == (4, 350, 1, 1)
    assert float(rows.min()) < 0 < 50 < float(rows.max()) <= 60
    assert float(columns.min()) < 0 < 80 < float(columns.max()) <= 90
