"""The terms of the objective: plain functions of pictures."""

from __future__ import annotations

import torch
from torch import Tensor


def absolute_error(predicted: Tensor, clean: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean absolute difference; of pictures with holes, that inside the holes alone.

    Args:
        predicted, clean: (B, 3, H, W).
        mask: (B, 1, H, W), 1 where the picture was missing; None where nothing was.
    """
    difference = (predicted.float() - clean).abs()
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
