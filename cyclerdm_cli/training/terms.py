"""The terms of the objective: plain functions of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_DAMAGE = 0.02
"""Added to the damage of a picture before it is divided by: what can hardly be seen shall not decide."""
TYPICAL_DAMAGE = 0.08
"""Damage of a picture whose error counts once, whatever the balance."""


def balance_weights(degraded: Tensor, clean: Tensor, balance: float) -> Tensor:
    """Return how much the error of each picture counts, (B, 1, 1, 1): more where there was less damage.

    Args:
        degraded, clean: (B, 3, H, W).
        balance: 0, all alike, to 1, in inverse proportion to the damage.
    """
    damage = (degraded - clean).abs().mean((1, 2, 3), keepdim=True)
    return ((damage + LEAST_DAMAGE) / (TYPICAL_DAMAGE + LEAST_DAMAGE)) ** -balance


def absolute_error(
    predicted: Tensor, clean: Tensor, mask: Tensor | None, weights: Tensor | None = None
) -> Tensor:
    """Return the mean absolute difference; of pictures with holes, that inside the holes alone.

    Args:
        predicted, clean: (B, 3, H, W).
        mask: (B, 1, H, W), 1 where the picture was missing; None where nothing was.
        weights: (B, 1, 1, 1) of the pictures; None for all alike.
    """
    difference = (predicted.float() - clean).abs()
    if weights is not None:
        difference = difference * weights
    if mask is None or not bool(mask.any()):
        return difference.mean()
    counted = torch.where(mask.amax((2, 3), keepdim=True) > 0, mask, 1.0)
    return (difference * counted).sum() / (3 * counted.sum()).clamp_min(1)


def frequency_error(predicted: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute difference of the two spectra (orthonormal FFT), where nothing is missing or in
    holes.

    Of the complex numbers, so that amplitude and phase are compared at once and no angle wraps around.
    """
    holes = mask.amax((2, 3), keepdim=True) > 0
    shown = torch.where(holes & (mask == 0), clean, predicted.float())
    difference = torch.fft.rfft2(shown - clean, norm="ortho")
    return torch.view_as_real(difference).abs().mean()
