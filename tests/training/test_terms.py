"""The terms of the objective: what they count, what they leave out, what they promise."""

from __future__ import annotations

import pytest
import torch

from cyclerdm_cli.training.terms import absolute_error, balance_weights, frequency_error

GENERATOR = torch.Generator().manual_seed(0)
CLEAN = torch.rand((2, 3, 48, 40), generator=GENERATOR)
OTHER = (CLEAN + 0.1 * torch.randn(CLEAN.shape, generator=GENERATOR)).clamp(0, 1)
NOTHING = torch.zeros(2, 1, 48, 40)
HOLES = NOTHING.clone()
HOLES[0, :, 10:20, 5:15] = 1


def test_without_holes_all_differences_count_alike() -> None:
    assert float(absolute_error(CLEAN + 0.25, CLEAN, NOTHING)) == pytest.approx(0.25)
    assert torch.equal(absolute_error(OTHER, CLEAN, None), absolute_error(OTHER, CLEAN, NOTHING))


def test_of_a_picture_with_holes_what_is_inside_counts_alone() -> None:
    changed = OTHER.clone()
    changed[0, :, 30:] = 9.0  # outside of the holes
    assert torch.equal(absolute_error(changed, CLEAN, HOLES), absolute_error(OTHER, CLEAN, HOLES))
    hole = CLEAN.clone()
    hole[0, :, 10:20, 5:15] += 0.5
    expected = 0.5 * 100 / (100 + 48 * 40)  # the other picture has none, and counts as a whole
    assert float(absolute_error(hole, CLEAN, HOLES)) == pytest.approx(expected)


def test_the_spectrum_sees_a_shift_that_keeps_the_amplitudes() -> None:
    shifted = CLEAN.roll(3, dims=3)
    torch.testing.assert_close(
        torch.fft.rfft2(shifted).abs(), torch.fft.rfft2(CLEAN).abs(), atol=1e-3, rtol=0
    )
    assert float(frequency_error(shifted, CLEAN, NOTHING)) > 0.1


def test_the_spectrum_of_a_picture_with_holes_is_that_of_what_fills_them() -> None:
    changed = OTHER.clone()
    changed[0, :, 30:] = 9.0
    assert torch.equal(frequency_error(changed, CLEAN, HOLES), frequency_error(OTHER, CLEAN, HOLES))


@pytest.mark.parametrize("term", [absolute_error, frequency_error])
def test_a_perfect_result_costs_nothing_and_any_other_has_a_gradient(term) -> None:  # type: ignore[no-untyped-def]
    for mask in (NOTHING, HOLES):
        assert float(term(CLEAN, CLEAN, mask)) == pytest.approx(0, abs=1e-6)
        picture = OTHER.clone().requires_grad_()
        term(picture, CLEAN, mask).backward()
        assert torch.isfinite(picture.grad).all()
        assert picture.grad.abs().sum() > 0


def test_faint_damage_counts_more_the_more_it_is_balanced() -> None:
    damaged = CLEAN.clone()
    damaged[0] += 0.01
    damaged[1] += 0.4
    ratios = [
        float(weights[0] / weights[1])
        for weights in (balance_weights(damaged, CLEAN, balance) for balance in (0.0, 0.5, 1.0))
    ]
    assert ratios[0] == 1
    assert 1 < ratios[1] < ratios[2]
    weights = balance_weights(damaged, CLEAN, 1.0)
    expected = (0.1 * weights.mean()).item()
    assert float(absolute_error(CLEAN + 0.1, CLEAN, None, weights)) == pytest.approx(expected, rel=1e-4)
