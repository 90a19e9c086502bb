"""Fine detail that a network took away together with the noise comes back, where it stands out of it.

What the network took, in luma, is split into bands by an undecimated wavelet (the B3 spline "à trous": Starck and
Murtagh, Publ. Astron. Soc. Pac. 106, 1994). In each band the noise is estimated by the median of absolute values
(Donoho and Johnstone, Biometrika 81, 1994), apart for dark and bright places, since a sensor's noise differs there.
A value is shrunk by how far the energy around it is above the noise (a garrote: Gao, J. Comput. Graph. Stat. 7,
1998), and coarse bands count less, so that neither grain nor light comes back. Pure functions, strip by strip.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.luma import LUMA

Pixels = NDArray[Any]
"""(H, W, 3) uint8 or uint16."""
Floats = NDArray[np.float32]

SHARES = (1.0, 1.0, 0.75, 0.5)
"""How much of each band may come back, from details of one pixel to those of eight; what is coarser does not."""
THRESHOLDS = (4.0, 3.0, 2.5, 2.5)
"""Energy, in units of the noise's, below which nothing of a band comes back."""
REACH = 2.0
"""Standard deviation in pixels of the window in which energy is averaged."""
SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16
CLASSES = 8
"""Steps of luma for which the noise is estimated apart."""
SHADES = 256
"""Steps of luma between which the noise is not told apart."""
FEWEST = 1000
"""Pixels of a class below which they tell nothing of its noise."""
LARGEST, BINS = 0.25, 8192
"""Range of the absolute values that are counted to find their median, and the number of steps in it."""
MEDIAN_OF_NOISE = 0.6745
"""Median of the absolute values of noise with a standard deviation of 1."""
STRIP, MARGIN = 128, 40
"""Rows that are worked on at a time, and the further ones above and below that these depend on."""
STRIP_BYTES = 64 * (STRIP + 2 * MARGIN)
"""Memory for each column of a picture: some sixteen planes in float32."""


def bring_back(before: Pixels, after: Pixels, amount: float) -> None:
    """Add fine detail that is in one picture to what was made of it, in place.

    Args:
        before: (H, W, 3) the picture as given.
        after: the same shape and type, without its noise; changed.
        amount: 0 nothing, 1 all that stands out of the noise.
    """
    peak, noise = float(np.iinfo(after.dtype).max), _noise(before, after)
    waiting: tuple[slice, Pixels] | None = None
    for rows, seen in _strips(len(after)):
        lost, luma = _lost(before[seen], after[seen], peak)
        own = slice(rows.start - seen.start, rows.stop - seen.start)
        back = _standing_out(lost, luma, noise)[own]
        values = after[rows].astype(np.float32)
        values += (amount * peak) * back[:, :, None]
        finished = np.rint(np.clip(values, 0, peak, out=values), out=values).astype(after.dtype)
        if waiting is not None:  # not before: this strip has seen rows of the one above
            after[waiting[0]] = waiting[1]
        waiting = rows, finished
    if waiting is not None:
        after[waiting[0]] = waiting[1]


def _strips(height: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows of a picture, and those rows with all that they depend on."""
    for top in range(0, height, STRIP):
        end = min(top + STRIP, height)
        yield slice(top, end), slice(max(top - MARGIN, 0), min(end + MARGIN, height))


def _lost(before: Pixels, after: Pixels, peak: float) -> tuple[Floats, Floats]:
    """Return what is missing of the luma, and the luma that is there; white is 1."""
    old, new = (
        picture.astype(np.float32) @ (np.array(LUMA, np.float32) / peak) for picture in (before, after)
    )
    return old - new, new


def _bands(picture: Floats) -> Iterator[Floats]:
    """Yield the bands of (H, W), the finest first; with the coarse rest, which is left out, they add up to it."""
    for level in range(len(SHARES)):
        kernel = np.zeros(4 * 2**level + 1, np.float32)
        kernel[:: 2**level] = SPLINE
        coarse: Any = cv2.sepFilter2D(picture, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        yield picture - coarse
        picture = coarse


def _noise(before: Pixels, after: Pixels) -> Floats:
    """Return the standard deviation of the noise in each band, for each class of luma: (bands, CLASSES)."""
    counts = np.zeros((len(SHARES), CLASSES * BINS), np.int64)
    for rows, seen in _strips(len(after)):
        own = slice(rows.start - seen.start, rows.stop - seen.start)
        lost, luma = _lost(before[seen], after[seen], float(np.iinfo(after.dtype).max))
        classes = np.minimum((luma[own] * CLASSES).astype(np.int32), CLASSES - 1) * BINS
        for count, band in zip(counts, _bands(lost), strict=True):
            steps = np.minimum((np.abs(band[own]) * (BINS / LARGEST)).astype(np.int32), BINS - 1)
            count += np.bincount((classes + steps).ravel(), minlength=len(count))
    return np.stack([_deviations(count.reshape(CLASSES, BINS)) for count in counts])


def _deviations(counts: NDArray[np.int64]) -> Floats:
    """Return the standard deviation of each class from how often each absolute value came: (CLASSES, BINS)."""
    told = counts.sum(1) >= FEWEST
    rows = counts[told] if told.any() else counts.sum(0, keepdims=True)
    below = rows.cumsum(1)
    medians = ((below * 2 < below[:, -1:]).sum(1) + 0.5) * (LARGEST / BINS)
    where = np.flatnonzero(told) if told.any() else [0]
    return (np.interp(np.arange(CLASSES), where, medians) / MEDIAN_OF_NOISE).astype(np.float32)


def _standing_out(lost: Floats, luma: Floats, noise: Floats) -> Floats:
    """Return of what is missing, (H, W), that which stands out of the noise."""
    total, shades = np.zeros_like(lost), np.clip(luma * SHADES, 0, SHADES - 1).astype(np.uint8)
    places = (np.arange(SHADES) + 0.5) * (CLASSES / SHADES) - 0.5
    for band, share, threshold, deviations in zip(_bands(lost), SHARES, THRESHOLDS, noise, strict=True):
        energy = cv2.GaussianBlur(band * band, (0, 0), REACH, borderType=cv2.BORDER_REFLECT_101)
        least = np.interp(places, np.arange(CLASSES), threshold * deviations**2).astype(np.float32)[shades]
        gain = np.maximum(energy - least, 0)
        gain /= np.maximum(energy, np.finfo(np.float32).tiny, out=energy)
        gain *= band
        total += np.multiply(gain, share, out=gain)
    return total
