"""The sRGB curve, as the standard has it; photographs exposed and balanced as they should be."""

from __future__ import annotations

import torch

from cyclerdm_cli.tasks.light import GOOD_LUMA, balance_grey, expose_well, mean_luma, to_linear, to_srgb


def test_the_transfer_curve_has_an_inverse() -> None:
    values = torch.linspace(0, 1, 256)
    torch.testing.assert_close(to_srgb(to_linear(values)), values, atol=1e-6, rtol=0)
    assert abs(float(to_linear(torch.tensor(0.5))) - 0.21404) < 1e-4


def test_dark_and_bright_photographs_come_closer_to_a_good_exposure_in_order() -> None:
    random = torch.rand((5, 3, 24, 32), generator=torch.Generator().manual_seed(3))
    photographs = random * torch.tensor([0.3, 0.6, 0.9, 1.0, 1.0]).view(-1, 1, 1, 1)
    photographs[4] = 0.5 + photographs[4] / 2
    before = mean_luma(photographs).flatten()
    for by_gain in (True, False):
        exposed = expose_well(photographs, torch.full((5, 1, 1, 1), by_gain))
        after = mean_luma(exposed).flatten()
        assert 0 <= float(exposed.min()) <= float(exposed.max()) <= 1
        torch.testing.assert_close(after - GOOD_LUMA, 0.4 * (before - GOOD_LUMA), atol=0.02, rtol=0)
        assert torch.equal(after.argsort(), before.argsort())


def test_colours_are_balanced_by_the_share_that_is_asked_for() -> None:
    tinted = torch.rand((3, 3, 24, 32), generator=torch.Generator().manual_seed(4))
    tinted = tinted * torch.tensor([0.4, 0.7, 0.5]).view(1, 3, 1, 1)
    balanced = balance_grey(tinted, torch.tensor([0.0, 0.5, 1.0]).view(-1, 1, 1, 1))
    torch.testing.assert_close(balanced[0], tinted[0])
    spread = balanced.mean((2, 3)).amax(1) - balanced.mean((2, 3)).amin(1)
    assert spread[0] > 1.5 * spread[1] > 2 * spread[2]
    assert spread[2] < 0.01


def test_a_black_picture_is_exposed_and_balanced_without_a_fault() -> None:
    black = torch.zeros((1, 3, 8, 8))
    assert bool(torch.isfinite(expose_well(black, torch.ones((1, 1, 1, 1), dtype=torch.bool))).all())
    assert torch.equal(balance_grey(black, torch.ones((1, 1, 1, 1))), black)
