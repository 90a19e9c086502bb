"""The terms of the objective: plain functions of pictures, each with a weight in `ObjectiveWeights`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.wavelet import Wavelet

EASE = 0.01
"""Added to the error before, so that damage too faint to see does not decide."""


def relative_error(predicted: Tensor, clean: Tensor, given: Tensor, counted: Tensor) -> Tensor:
    """Return the mean over the batch of RMSE(predicted) / (RMSE(given) + EASE), over the counted pixels.

    Relative to the error of what was given, so that a dark picture does not outweigh a noisy one. Not the
    logarithm of the error, which is the PSNR: it rewards leaving mild damage alone so much that nothing else
    is learned at first. Not L1: under rain and snow most pixels are whole, and its kink holds them there.

    Args:
        predicted, clean, given: (B, 3, H, W).
        counted: (B, 1, H, W), 1 where a pixel counts, 0 where not.
    """
    count = (3 * counted.sum((1, 2, 3))).clamp_min(1)
    error = ((predicted.float() - clean).square() * counted).sum((1, 2, 3)) / count
    before = ((given.float() - clean).square() * counted).sum((1, 2, 3)) / count
    return ((error + 1e-6).sqrt() / (before.sqrt() + EASE)).mean()


def frequency_error(predicted: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute difference of the two spectra (orthonormal FFT).

    Of the complex numbers, so that amplitude and phase are compared at once and no angle wraps around.
    """
    difference = torch.fft.rfft2(predicted.float() - clean, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def structure_error(predicted: Tensor, clean: Tensor) -> Tensor:
    """Return 1 - SSIM (Wang et al., IEEE TIP 2004): 11x11 Gaussian window, sigma 1.5, colours apart."""
    places = torch.arange(11, device=clean.device) - 5.0
    line = torch.exp(-places.square() / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2
    kernel = window.expand(3, 1, 11, 11).contiguous()

    def local_mean(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, groups=3)

    # In float32: variances are small differences of squares.
    with torch.autocast(clean.device.type, enabled=False):
        x, y = predicted.float(), clean.float()
        mean_x, mean_y = local_mean(x), local_mean(y)
        variance_x, variance_y = local_mean(x * x) - mean_x**2, local_mean(y * y) - mean_y**2
        covariance = local_mean(x * y) - mean_x * mean_y
        c1, c2 = 0.01**2, 0.03**2
        likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        ssim = likeness / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return 1 - ssim.mean()


def band_error(predicted: Tensor, clean: Tensor, wavelet: Wavelet) -> Tensor:
    """Return the mean absolute difference of the high-frequency bands: edges and texture."""
    return (wavelet.split(predicted.float())[1] - wavelet.split(clean)[1]).abs().mean()
