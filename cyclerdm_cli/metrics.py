"""PSNR and SSIM by the field's conventions: pure functions of pictures of 8 bits.

Everywhere: `first` and `second` are (H, W, 3) uint8, RGB, or (H, W) samples on the scale 0..255, of one shape.

The conventions:
    RGB   PSNR from the mean square over all pixels and channels, peak 255; SSIM the mean of the channels'.
    Y     the luma of BT.601 in 16..235, not rounded, peak 255: what BasicSR and its descendants report.
    Y8    the same rounded to 8 bits, as MATLAB's `rgb2ycbcr` gives for pictures of 8 bits: what the scripts of
          the deraining papers (MPRNet, Restormer) report. At 40 dB it lies about 0.1 dB below Y.
    SSIM  Wang et al., IEEE TIP 2004: Gaussian window of 11x11 with sigma 1.5, K1 0.01, K2 0.03, dynamic range
          255, the mean over whole windows alone.

Without a second picture to compare with there are two estimates, `noise` and `sharpness`. They describe a picture
and do not judge it: fine texture counts as noise, and noise counts as sharpness.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
Channels = Literal["rgb", "y", "y8"]
"""Which samples a number was measured on; see the module's own words."""

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5
MASK = 3
NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
"""The difference of two Laplacians; white noise comes out of it 6 times as strong."""
LUMA = np.array((65.481, 128.553, 24.966)) / 255
"""Of R, G and B in 0..255: BT.601, white at 235."""


def luma(picture: Samples) -> NDArray[np.float64]:
    """Return BT.601 luma: (H, W) float64, black 16, white 235, of (H, W, 3) uint8."""
    return np.asarray(16 + picture.astype(np.float64) @ LUMA)


def measured_on(picture: Samples, channels: Channels, crop: int = 0) -> Samples:
    """Return the samples that a convention measures on: `crop` pixels left out at every edge."""
    height, width = picture.shape[:2]
    inner = picture[crop : height - crop, crop : width - crop]
    if channels == "rgb":
        return inner
    return luma(inner) if channels == "y" else np.rint(luma(inner))


def psnr(first: Samples, second: Samples) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite for identical pictures."""
    _same_shape(first, second)
    error = float(np.square(first.astype(np.float64) - second.astype(np.float64)).mean())
    return float("inf") if error == 0 else float(10 * np.log10(PEAK**2 / error))


def ssim(first: Samples, second: Samples) -> float:
    """Return the structural similarity, at most 1.

    Raises:
        ValueError: a side is shorter than the window of 11 pixels.
    """
    _same_shape(first, second)
    if min(first.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} pixels a side, not {first.shape[1]} x {first.shape[0]}")
    if first.ndim == 3:
        channels = range(first.shape[2])
        return float(np.mean([ssim(first[..., channel], second[..., channel]) for channel in channels]))
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    variances = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))).mean())


def noise(picture: Samples) -> float:
    """Return an estimate of the standard deviation of the noise, in levels of 0..255, the mean over the channels.

    Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64(2), 1996: the mean size
    of what a mask leaves that takes away all that is flat or even in slope.

    Args:
        picture: (H, W, 3) or (H, W) uint8.

    Raises:
        ValueError: a side is shorter than the mask of 3 pixels.
    """
    if min(picture.shape[:2]) < MASK:
        raise ValueError(f"noise needs {MASK} pixels a side, not {picture.shape[1]} x {picture.shape[0]}")
    left = cv2.filter2D(picture, cv2.CV_16S, NOISE_MASK)[1:-1, 1:-1]
    return float(math.sqrt(math.pi / 2) * np.abs(left).mean() / np.linalg.norm(NOISE_MASK))


def sharpness(picture: Samples) -> float:
    """Return the variance of the Laplacian of the picture's grey, of (H, W, 3) uint8: the larger, the sharper.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000; grey is
    0.299 R + 0.587 G + 0.114 B, rounded to 8 bits.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_16S).var())


def _windowed(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian mean of every whole window: (H - 10, W - 10)."""
    gaussian = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    margin = WINDOW // 2
    return np.asarray(
        cv2.sepFilter2D(plane, cv2.CV_64F, gaussian, gaussian)[margin:-margin, margin:-margin], np.float64
    )


def _same_shape(first: Samples, second: Samples) -> None:
    if first.shape != second.shape:
        raise ValueError(f"pictures of {first.shape} and {second.shape} cannot be compared")
