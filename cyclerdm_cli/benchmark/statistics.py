"""Means over pictures, and differences of pairs with an interval from the bootstrap. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Difference:
    """By how much the second of two lies above the first, picture by picture."""

    mean: float
    low: float
    high: float
    """Ends of the interval of 95 %; not finite for a single picture, of which nothing can be said."""
    pictures: int
    """That both could be measured on, with finite numbers."""

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def mean(values: Sequence[float]) -> float:
    """Return the mean; infinite where a value is."""
    return math.inf if math.inf in values else math.fsum(values) / len(values)


def paired_difference(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Difference | None:
    """Return second minus first, with the percentile bootstrap's interval over pictures (Efron, 1979).

    Equal numbers differ by 0, also infinite ones; a pair with one infinite number is left out.

    Args:
        first: one number a picture. second: for the same pictures, in the same order.
        seed: of the resampling: the same numbers give the same interval.

    Returns:
        None where no pair is left.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} numbers are no pairs")
    found = [0.0 if one == other else other - one for one, other in zip(first, second, strict=True)]
    differences = np.array([value for value in found if math.isfinite(value)], np.float64)
    if not len(differences):
        return None
    if len(differences) == 1:
        return Difference(float(differences[0]), -math.inf, math.inf, 1)
    low, high = np.quantile(_resampled_means(differences, seed), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Difference(float(differences.mean()), float(low), float(high), len(differences))


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the means of RESAMPLES samples as large as the values, drawn with replacement."""
    random = np.random.default_rng(seed)
    rows = max(1, DRAWS_AT_ONCE // len(values))
    parts = [
        values[random.integers(0, len(values), (min(rows, RESAMPLES - done), len(values)))].mean(1)
        for done in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)
