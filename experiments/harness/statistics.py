"""Means with intervals, and differences of runs that share a seed."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Interval(NamedTuple):
    """A mean and its 95% confidence interval.

    Attributes:
        mean: nan of no value.
        half_width: mean - half_width to mean + half_width; nan of fewer than two values.
        number: of values.
    """

    mean: float
    half_width: float
    number: int

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside."""
        return abs(self.mean) > self.half_width  # False for nan


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of n values with its 95% interval, t(0.975, n - 1) s / sqrt(n), s the standard deviation.

    Example:
        >>> found = interval([0.93, 0.94, 0.95])
        >>> round(found.mean, 6), round(found.half_width, 4)
        (0.94, 0.0248)
    """
    if not values:
        return Interval(math.nan, math.nan, 0)
    number, mean = len(values), float(np.mean(values))
    if number == 1:
        return Interval(mean, math.nan, 1)
    return Interval(mean, float(t.ppf(0.975, number - 1) * np.std(values, ddof=1) / math.sqrt(number)), number)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Interval:
    """Return the interval of first - second over the seeds that both have: what they share (data, batches) cancels out.

    Args:
        first: value by seed.
        second: value by seed.
    """
    return interval([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])
