"""Blur, haze, missing parts, light and water: what a person would see, and what training relies on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclerdm_cli.tasks import backlight, deblur, dehaze, inpaint, light, low_light, underwater
from cyclerdm_cli.tasks.camera import convolve, gaussian_blur
from cyclerdm_cli.tasks.draw import smooth_field
from cyclerdm_cli.tasks.light import to_linear

TASKS = pytest.mark.parametrize(
    "task", [deblur, dehaze, inpaint, low_light, backlight, underwater], ids=lambda task: task.__name__
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes(batch: int = 8, height: int = 64, width: int = 80) -> Tensor:
    """Soft shapes in several colours with fine texture: bright above, darker below."""
    chance = generator(11)
    colours = torch.cat([smooth_field(batch, height, width, 4, chance) for _ in range(3)], 1)
    texture = gaussian_blur(
        torch.rand((batch, 3, height, width), generator=chance), torch.full((batch,), 0.6)
    )
    slope = torch.linspace(0.25, -0.25, height).view(1, 1, -1, 1)
    return (0.5 * colours + 0.5 * texture + slope).clamp(0.02, 0.98)


def worst(value: float, batch: int = 8) -> Tensor:
    return torch.full((batch,), value)


@TASKS
def test_same_state_same_damage(task):
    clean = scenes()
    first = task.degrade(clean, worst(0.5), generator(3)).lq
    again = task.degrade(clean, worst(0.5), generator(3)).lq
    other = task.degrade(clean, worst(0.5), generator(4)).lq
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@TASKS
def test_global_chance_is_not_used(task):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the state that must not matter
    first = task.degrade(scenes(), worst(0.5), generator()).lq
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(first, task.degrade(scenes(), worst(0.5), generator()).lq)


@TASKS
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 8, 8), (2, 8, 33), (3, 50, 17), (1, 200, 300)])
def test_shape_and_range(task, batch, height, width):
    clean = scenes(batch, height, width)
    before = clean.clone()
    for severity in (0.0, 1.0):
        damaged = task.degrade(clean, worst(severity, batch), generator()).lq
        assert damaged.shape == clean.shape
        assert damaged.dtype == torch.float32
        assert torch.isfinite(damaged).all()
        assert damaged.min() >= 0
        assert damaged.max() <= 1
    assert torch.equal(clean, before)


@TASKS
def test_error_grows_with_severity(task):
    clean = scenes(24)
    errors = []
    for severity in (0.0, 0.25, 0.5, 0.75, 1.0):
        draws = [task.degrade(clean, worst(severity, 24), generator(seed)).lq for seed in range(4)]
        errors.append(float(torch.stack([(draw - clean).square().mean() for draw in draws]).mean()))
    assert errors == sorted(errors)
    assert errors[-1] > 1.5 * errors[0] > 0


@TASKS
def test_black_and_white_pictures_survive(task):
    for level in (0.0, 1.0):
        damaged = task.degrade(torch.full((2, 3, 32, 32), level), worst(1.0, 2), generator()).lq
        assert torch.isfinite(damaged).all()


def test_blur_kernels_sum_to_one_and_reach_as_far_as_asked():
    reach = torch.linspace(1, 61, 64)
    kernels = deblur.kernels_of(reach, 61, generator())
    assert kernels.shape == (64, 61, 61)
    assert kernels.min() >= 0
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(64))
    assert (kernels > 1e-4).any(2).sum(1).float()[48:].mean() > (kernels > 1e-4).any(2).sum(1).float()[
        :16
    ].mean()


def test_straight_trails_are_as_long_as_asked():
    reach = torch.tensor([5.0, 15.0, 31.0, 61.0])
    trails = deblur.shake_trails(reach, torch.ones(4, 1, 1), 61, generator())
    for trail, asked in zip(trails, reach.tolist(), strict=True):
        lit = trail.nonzero().float()
        length = (lit.amax(0) - lit.amin(0)).norm() + 1
        assert abs(float(length) - asked) <= 3


def test_trails_move_nothing_on_average():
    trails = deblur.shake_trails(torch.full((32,), 30.0), torch.full((32, 1, 1), 0.3), 61, generator())
    trails = trails / trails.sum((1, 2), keepdim=True)
    places = torch.arange(61.0) - 30
    assert (trails.sum(2) @ places).abs().max() < 0.01
    assert (trails.sum(1) @ places).abs().max() < 0.01


def test_blur_leaves_a_flat_picture_flat():
    flat = torch.full((16, 3, 48, 48), 0.5)
    damaged = deblur.degrade(flat, worst(1.0, 16), generator()).lq
    assert abs(float(damaged.mean()) - 0.5) < 0.005


def test_blur_takes_detail_away():
    def detail(picture: Tensor) -> float:
        return float((picture - gaussian_blur(picture, worst(2.0, len(picture)))).std())

    clean = scenes(16)
    mild, strong = (deblur.degrade(clean, worst(value, 16), generator()).lq for value in (0.0, 1.0))
    assert detail(strong) < 0.7 * detail(mild) < 0.7 * detail(clean)


def test_highlights_beyond_white_spread_further():
    lamp = torch.zeros(64, 3, 41, 41)
    lamp[:, :, 20, 20] = 1
    boosted = deblur.with_highlights(lamp, generator())
    assert boosted.amax() > 1.5
    disc = torch.full((64, 9, 9), 1 / 81)
    areas = (convolve(boosted, disc) > 0.02).sum((1, 2, 3))
    assert areas.max() > 0 == areas.min()  # only some pictures are over-exposed


@pytest.mark.parametrize("severity", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("size", [(128, 128), (300, 200)])
def test_missing_share_follows_severity(severity, size):
    clean = scenes(12, *size)
    mask = inpaint.degrade(clean, worst(severity, 12), generator()).mask
    wanted = inpaint.LEAST + (inpaint.MOST - inpaint.LEAST) * severity
    shares = mask.mean((1, 2, 3))
    assert shares.max() <= wanted + 1e-3
    assert shares.min() >= 0.9 * wanted


def test_missing_pixels_are_white_and_the_others_untouched():
    clean = scenes()
    lq, mask, *_ = inpaint.degrade(clean, worst(0.5), generator())
    assert mask.shape == (8, 1, 64, 80)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    gone = mask.expand_as(clean) > 0
    assert (lq[gone] == 1).all()
    assert torch.equal(lq[~gone], clean[~gone])


@pytest.mark.parametrize("seed", range(6))
def test_masks_on_tiny_pictures_keep_to_their_share(seed):
    mask = inpaint.drawn_mask(8, 8, 0.3, np.random.default_rng(seed))
    assert 0.2 <= mask.mean() <= 0.3 + 1 / 64


def test_masks_differ_within_a_batch():
    mask = inpaint.degrade(scenes(), worst(0.4), generator()).mask
    assert len({tuple(plane.flatten().tolist()) for plane in mask}) == 8


def test_only_inpainting_has_a_mask():
    for task in (deblur, backlight, underwater):
        assert task.degrade(scenes(), worst(0.5), generator()).mask is None


def framed() -> Tensor:
    """A dark grey figure before a bright sky, 16 times."""
    picture = torch.full((16, 3, 64, 64), 0.85)
    picture[:, :, 20:, 20:44] = 0.4
    return picture


def test_backlight_darkens_the_subject_and_keeps_the_surround():
    clean = framed()
    damaged = backlight.degrade(clean, worst(0.8, 16), generator()).lq
    subject, sky = to_linear(damaged[:, :, 30:60, 24:40]), damaged[:, :, 4:12, 4:60]
    assert subject.mean() < 0.3 * to_linear(torch.tensor(0.4))
    assert sky.mean() > 0.75


def test_backlight_border_follows_the_outline():
    lit = backlight.surround_of(framed(), generator())
    inside, outside = lit[:, :, 30:60, 22:42], lit[:, :, 30:60, 46:60]
    assert inside.mean() < 0.25
    assert outside.mean() > 0.75


def test_guided_filter_keeps_an_edge_that_a_plain_blur_loses():
    step = torch.zeros(1, 1, 48, 48)
    step[..., 24:] = 1
    kept = backlight.guided(step, step, 4, 0.001)
    assert (kept - step).abs().max() < 0.1
    noisy = step + 0.1 * torch.randn(step.shape, generator=generator())
    smooth = backlight.guided(noisy, step, 4, 0.001)
    assert (smooth - step)[..., 2:20].std() < 0.4 * (noisy - step)[..., 2:20].std()


def test_two_groups_of_tones_are_told_apart():
    tone = torch.cat([torch.full((1, 1, 4, 16), 0.2), torch.full((1, 1, 12, 16), 0.7)], 2)
    dark, bright = backlight.parted_tones(tone)
    assert abs(float(dark) - 0.2) < 0.02
    assert abs(float(bright) - 0.7) < 0.02


def test_oceanic_water_swallows_red_first_and_murky_water_blue():
    red, green, blue = (torch.tensor([water[channel] for water in underwater.WATERS]) for channel in range(3))
    assert (red[:4] > 2.5 * green[:4]).all()
    assert (green[:4] > blue[:4]).all()
    assert blue[-1] > green[-1] > green[0]
    clarity = red[4:] + green[4:] + blue[4:]
    assert torch.equal(clarity, clarity.sort().values)  # murkier and murkier towards the coast


def test_red_falls_most_under_water():
    grey = torch.full((64, 3, 32, 32), 0.5)
    red, green, blue = underwater.degrade(grey, worst(0.7, 64), generator()).lq.mean((0, 2, 3)).tolist()
    assert red < 0.75 * green
    assert red < 0.75 * blue


def test_water_lowers_contrast():
    clean = scenes(16)
    damaged = underwater.degrade(clean, worst(0.9, 16), generator()).lq
    assert damaged[:, 0].std((1, 2)).mean() < 0.7 * clean[:, 0].std((1, 2)).mean()


def test_distances_are_those_of_a_diver():
    waters = underwater.drawn_waters(16, generator())
    distance = underwater.drawn_distances(scenes(16), worst(1.0, 16), waters, generator())
    assert distance.shape == (16, 1, 64, 80)
    assert distance.min() >= underwater.NEAREST
    assert distance.max() <= underwater.FARTHEST
    assert distance.std() > 0.5


def test_what_lay_behind_a_veil_is_wanted_grey_on_average_and_the_rest_as_it_was():
    warm = scenes(64) * torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1)
    # Red keeps a little of the tint of blue water; the two other colours tell.
    wanted, slight = (underwater.degrade(warm, worst(much, 64), generator()).wanted for much in (0.9, 0.0))
    apart, apart_before = ((one[:, 1] - one[:, 2]).mean((1, 2)).abs() for one in (wanted, slight))
    assert 0.6 < (apart < 0.01).float().mean() < 0.98
    assert not (apart_before < 0.01).any()
    as_it_was = (slight[:, 1:] == warm[:, 1:]).flatten(1).all(1)
    assert 0.3 < as_it_was.float().mean() < 0.9
    red = slight[as_it_was, 0].mean((1, 2)) / warm[as_it_was, 0].mean((1, 2))
    assert 0.99 * underwater.LEAST_RED < red.min() < 0.95
    assert red.max() == 1


def test_behind_haze_most_photographs_have_the_contrast_of_a_clear_day():
    flat = 0.4 + 0.2 * scenes(64)
    damaged = dehaze.degrade(flat, worst(0.5, 64), generator())
    contrast, before = (one.flatten(1).std(1) for one in (damaged.wanted, flat))
    clearer = contrast > 1.3 * before
    assert 0.6 < clearer.float().mean() < 0.95
    assert torch.equal(damaged.wanted[~clearer], flat[~clearer])


def test_tones_fill_their_range_by_a_share():
    flat = 0.3 + 0.4 * scenes(2)
    filled = light.fill_range(flat, torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    torch.testing.assert_close(filled[0], flat[0])
    assert filled[1].min() == 0
    assert filled[1].max() == 1
    assert 0.005 < (filled[1] == 0).float().mean() < 0.05


def test_some_haze_lies_evenly_over_near_and_far():
    black = torch.zeros(64, 3, 48, 48)
    hazy = dehaze.degrade(black, worst(0.5, 64), generator()).lq
    unevenness = hazy.std((1, 2, 3)) / hazy.mean((1, 2, 3))
    assert 0.15 < (unevenness < 0.12).float().mean() < 0.7


def test_invented_depth_spans_near_and_far_and_follows_the_outline():
    clean = framed()
    depth = dehaze.invented_depth(clean, generator())
    assert depth.shape == (16, 1, 64, 64)
    assert depth.min() > 0
    torch.testing.assert_close(depth.mean((1, 2, 3)), torch.ones(16))
    assert (depth.amax((1, 2, 3)) / depth.amin((1, 2, 3))).median() > 2
    steps = depth.diff(dim=3).abs().mean((0, 1))
    assert steps[30:60, 43].mean() > 2 * steps[30:60, 4:16].mean()


def test_haze_keeps_a_share_of_every_contrast_and_adds_light_to_the_dark():
    clean = scenes(16)
    thin, thick = (dehaze.degrade(clean, worst(value, 16), generator()).lq for value in (0.1, 1.0))
    assert (thin.std((1, 2, 3)) / clean.std((1, 2, 3))).median() > 0.8
    assert 0.1 < (thick.std((1, 2, 3)) / clean.std((1, 2, 3))).median() < 0.6
    black = dehaze.degrade(torch.zeros(16, 3, 32, 32), worst(1.0, 16), generator()).lq
    assert black.mean((1, 2, 3)).median() > 0.5


def test_most_pictures_in_low_light_are_dark_some_dull_and_some_too_bright():
    clean = scenes(64)
    damaged = low_light.degrade(clean, worst(0.8, 64), generator()).lq
    change = damaged.mean((1, 2, 3)) / clean.mean((1, 2, 3))
    assert 0.5 < (change < 0.35).float().mean() < 0.9
    assert 0.02 < (change > 1.15).float().mean() < 0.25
    assert damaged.mean((1, 2, 3)).min() > 0.003


def test_the_camera_curve_keeps_black_and_white_and_their_order():
    light = torch.linspace(0, 1, 256).expand(16, 3, 1, -1)
    picture = low_light.developed(light, generator())
    torch.testing.assert_close(picture[..., 0], torch.zeros(16, 3, 1))
    assert picture.amax() <= 1 + 1e-5
    assert picture[..., -1].min() > 0.99
    assert (picture.diff(dim=3) >= -1e-6).all()


def test_waters_are_blue_teal_and_green():
    grey = torch.full((96, 3, 32, 32), 0.5)
    red, green, blue = underwater.degrade(grey, worst(0.7, 96), generator()).lq.mean((2, 3)).T
    assert 0.1 < (blue > 1.05 * green).float().mean() < 0.6
    assert 0.2 < (blue < 0.9 * green).float().mean() < 0.8
    assert (red < green).float().mean() > 0.9


def test_a_quarter_turn_of_a_kernel_lays_its_trail_across():
    upright = torch.zeros(1, 9, 9)
    upright[0, 1:8, 4] = 1 / 7
    across = deblur.turned(upright, torch.tensor([math.pi / 2]), torch.ones(1))
    torch.testing.assert_close(across, upright.mT, atol=1e-5, rtol=0)
    half = deblur.turned(upright, torch.zeros(1), torch.tensor([0.5]))
    torch.testing.assert_close(half.sum(), torch.tensor(1.0))
    assert half[0, 2:7, 4].sum() > 0.95


def test_nearly_half_of_the_blurs_differ_within_the_picture():
    light = scenes(64)
    kernels = deblur.kernels_of(torch.full((64,), 15.0), 17, generator())
    _, uneven = deblur.smear(light, kernels, generator())
    assert 0.25 < uneven.float().mean() < 0.65
