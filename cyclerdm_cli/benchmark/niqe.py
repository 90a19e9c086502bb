"""NIQE: how far a picture's statistics lie from those of natural ones, without a reference; lower is better.

Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE SPL 2013. The model of
natural pictures is not part of this program: BasicSR (Apache-2.0) carries the authors' own, `niqe_pris_params.npz`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.metrics import luma

Floats = NDArray[np.float64]
BLOCK = 96
"""Side of the blocks whose statistics are gathered, at full size."""
SHAPES = np.arange(0.2, 10.001, 0.001)
"""Shape parameters of the generalised Gaussian that are tried."""
GAMMA = np.vectorize(math.gamma, otypes=[np.float64])
RATIOS = GAMMA(2 / SHAPES) ** 2 / (GAMMA(1 / SHAPES) * GAMMA(3 / SHAPES))
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True)
class NaturalModel:
    """A multivariate Gaussian of the 36 features, fitted to natural pictures."""

    mean: Floats
    """(36,)"""
    covariance: Floats
    """(36, 36)"""
    window: Floats
    """(7, 7), of sum 1: the neighbourhood that a pixel is normalised by."""

    @classmethod
    def read(cls, path: Path) -> NaturalModel:
        """Read a file with the arrays mu_pris_param, cov_pris_param and gaussian_window."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                arrays["mu_pris_param"].reshape(-1).astype(np.float64),
                arrays["cov_pris_param"].astype(np.float64),
                arrays["gaussian_window"].astype(np.float64),
            )


def niqe(picture: NDArray[Any], model: NaturalModel) -> float:
    """Return NIQE of (H, W, 3) uint8.

    Raises:
        PictureError: the picture holds fewer than two blocks of 96 x 96, or is too even to be judged.
    """
    rows, columns = picture.shape[0] // BLOCK, picture.shape[1] // BLOCK
    if rows * columns < 2:
        raise PictureError(f"NIQE needs two blocks of {BLOCK} x {BLOCK} pixels")
    plane = luma(picture[: rows * BLOCK, : columns * BLOCK])
    scales = []
    for side in (BLOCK, BLOCK // 2):
        normalised = _normalised(plane, model.window)
        blocks = normalised.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
        scales.append(_features(blocks))
        plane = _halved(_halved(plane).T).T
    features = np.concatenate(scales, axis=1)
    features = features[np.isfinite(features).all(axis=1)]
    if len(features) < 2:
        raise PictureError("NIQE: the picture is too even to be judged")
    offset = model.mean - features.mean(0)
    spread = np.linalg.pinv((model.covariance + np.cov(features, rowvar=False)) / 2)
    return float(np.sqrt(offset @ spread @ offset))


def _halved(plane: Floats) -> Floats:
    """Return (H, W) at half the height: bicubic (a = -1/2), stretched by two as in MATLAB's imresize."""
    distance = np.abs(np.arange(8) - 3.5) / 2
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance <= 1, near, far)
    padded = np.pad(plane, ((3, 3), (0, 0)), mode="symmetric")
    taps = [weight * padded[tap : tap + len(plane) : 2] for tap, weight in enumerate(weights / weights.sum())]
    return np.asarray(np.sum(taps, axis=0))


def _normalised(plane: Floats, window: Floats) -> Floats:
    """Return the plane with local mean and contrast taken out (the paper's equation 1)."""
    mean = cv2.filter2D(plane, cv2.CV_64F, window, borderType=cv2.BORDER_REPLICATE)
    square = cv2.filter2D(plane * plane, cv2.CV_64F, window, borderType=cv2.BORDER_REPLICATE)
    return np.asarray((plane - mean) / (np.sqrt(np.abs(square - mean * mean)) + 1), np.float64)


def _features(blocks: Floats) -> Floats:
    """Return 18 features of each of (N, S, S) blocks: (N, 18)."""
    shape, left, right = _asymmetric_gaussian(blocks)
    columns = [shape, (left + right) / 2]
    for neighbour in NEIGHBOURS:
        shape, left, right = _asymmetric_gaussian(blocks * np.roll(blocks, neighbour, axis=(1, 2)))
        with np.errstate(invalid="ignore"):
            mean = (right - left) * GAMMA(2 / shape) / GAMMA(1 / shape)
        columns += [shape, mean, left, right]
    return np.stack(columns, axis=1)


def _asymmetric_gaussian(blocks: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit shape and left and right scale to each of (N, S, S) blocks by moments: three arrays (N,)."""
    values = blocks.reshape(len(blocks), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt(np.square(np.minimum(values, 0)).sum(1) / (values < 0).sum(1))
        right = np.sqrt(np.square(np.maximum(values, 0)).sum(1) / (values > 0).sum(1))
        balance = left / right
        ratio = np.square(np.abs(values).mean(1)) / np.square(values).mean(1)
        ratio = ratio * (balance**3 + 1) * (balance + 1) / np.square(balance**2 + 1)
    shape = SHAPES[np.abs(RATIOS[None] - ratio[:, None]).argmin(1)]
    scale = np.sqrt(GAMMA(1 / shape) / GAMMA(3 / shape))
    return shape, left * scale, right * scale
