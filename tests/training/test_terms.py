"""The terms of the objective against independent implementations and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.training.terms import band_error, frequency_error, relative_error, structure_error

GENERATOR = torch.Generator().manual_seed(0)
CLEAN = torch.rand((2, 3, 48, 40), generator=GENERATOR)
OTHER = (CLEAN + 0.1 * torch.randn(CLEAN.shape, generator=GENERATOR)).clamp(0, 1)
ALL = torch.ones(2, 1, 48, 40)


def test_structure_is_that_of_scikit_image() -> None:
    # scikit-image pads at the border; ours counts whole windows only, so the reference is cropped likewise.
    found = []
    for x, y in zip(CLEAN.numpy(), OTHER.numpy(), strict=True):
        _, whole = structural_similarity(
            x, y, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        found.append(whole[:, 5:-5, 5:-5].mean())
    assert float(structure_error(OTHER, CLEAN)) == pytest.approx(1 - np.mean(found), abs=1e-5)


def test_the_relative_error_does_not_depend_on_how_strong_the_damage_is() -> None:
    weak, strong = CLEAN + 0.1, CLEAN + 0.4
    halved = [
        relative_error(CLEAN + size / 2, CLEAN, given, ALL) for size, given in ((0.1, weak), (0.4, strong))
    ]
    assert float(halved[1]) == pytest.approx(0.5, abs=0.05)
    assert float(halved[0]) == pytest.approx(0.5, abs=0.15)


def test_what_does_not_count_changes_nothing() -> None:
    counted = ALL.clone()
    counted[:, :, :20] = 0
    changed = OTHER.clone()
    changed[:, :, :20] = 9.0
    first, second = (relative_error(picture, CLEAN, OTHER, counted) for picture in (OTHER, changed))
    assert torch.equal(first, second)


def test_the_spectrum_sees_a_shift_that_keeps_the_amplitudes() -> None:
    shifted = CLEAN.roll(3, dims=3)
    assert torch.allclose(torch.fft.rfft2(shifted).abs(), torch.fft.rfft2(CLEAN).abs(), atol=1e-3)
    assert float(frequency_error(shifted, CLEAN)) > 0.1


def test_the_bands_do_not_see_a_change_of_brightness() -> None:
    wavelet = Wavelet.named("haar")
    assert float(band_error(CLEAN + 0.2, CLEAN, wavelet)) < 1e-6
    assert float(band_error(OTHER, CLEAN, wavelet)) > 0.02


@pytest.mark.parametrize("term", [frequency_error, structure_error])
def test_a_perfect_result_costs_nothing_and_any_other_has_a_gradient(term) -> None:  # type: ignore[no-untyped-def]
    assert float(term(CLEAN, CLEAN)) == pytest.approx(0, abs=1e-5)
    picture = OTHER.clone().requires_grad_()
    term(picture, CLEAN).backward()
    assert torch.isfinite(picture.grad).all()
    assert picture.grad.abs().sum() > 0
