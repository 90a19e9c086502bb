"""Differences of pairs, and how sure they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from cyclerdm_cli.benchmark.statistics import mean, paired_difference


def test_the_interval_is_that_of_scipy() -> None:
    random = np.random.default_rng(3)
    first = random.normal(25, 4, 40)
    second = first + random.normal(0.5, 1, 40)
    found = paired_difference(list(first), list(second))
    reference = bootstrap(
        (second - first,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found is not None
    assert found.mean == pytest.approx((second - first).mean())
    assert found.low == pytest.approx(reference.low, abs=0.02)
    assert found.high == pytest.approx(reference.high, abs=0.02)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(60):
        gains = random.normal(0.3, 1, 50)
        found = paired_difference([0.0] * 50, list(gains))
        assert found is not None
        hits += found.low <= 0.3 <= found.high
    assert hits >= 51  # 57 expected; fewer than 52 come once in three hundred times


def test_one_picture_has_no_interval_and_none_no_difference() -> None:
    found = paired_difference([20.0], [21.0])
    assert found is not None
    assert not found.certain
    assert math.isinf(found.high)
    assert paired_difference([], []) is None


def test_infinite_numbers() -> None:
    assert mean([20.0, math.inf]) == math.inf
    found = paired_difference([20.0, math.inf, math.inf], [21.0, math.inf, 30.0])
    assert found is not None
    assert (found.mean, found.pictures) == (0.5, 2)  # inf and inf are equal; inf and 30 are no pair
