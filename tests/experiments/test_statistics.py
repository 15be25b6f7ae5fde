"""Intervals against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from experiments.harness.statistics import interval, paired_difference


@pytest.mark.parametrize("number", [2, 3, 10])
def test_interval_is_that_of_a_t_test(number: int) -> None:
    values = np.random.default_rng(number).normal(0.9, 0.02, number)
    oracle = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = interval(values.tolist())
    assert found.mean - found.half_width == pytest.approx(oracle.low, rel=1e-12)
    assert found.mean + found.half_width == pytest.approx(oracle.high, rel=1e-12)
    assert found.number == number


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert interval([0.5]).mean == 0.5
    assert math.isnan(interval([0.5]).half_width)
    assert math.isnan(interval([]).mean)
    assert not interval([0.5]).excludes_zero


def test_paired_difference_is_that_of_a_paired_t_test_over_common_seeds() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(0.9, 0.1, 5)
    first, second = shared + random.normal(0.01, 0.001, 5), shared + random.normal(0, 0.001, 5)
    oracle = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(dict(enumerate(first)) | {7: 0.1}, dict(enumerate(second)) | {8: 0.2})
    assert found.number == 5
    assert found.mean - found.half_width == pytest.approx(oracle.low, rel=1e-9)
    assert found.mean + found.half_width == pytest.approx(oracle.high, rel=1e-9)
    assert found.excludes_zero
