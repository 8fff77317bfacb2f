"""Means with their intervals, also of values that lie between known limits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from imagepipe.reports.statistics import Interval, reach_of

Limits = tuple[float, float]  # between which each value lies
UNLIMITED: Limits = (-math.inf, math.inf)


def average(values: ArrayLike, level: float, limits: Limits = UNLIMITED) -> Interval:
    """The mean of (rows,) values, by `of_mean`."""
    values = np.asarray(values, float)
    share = bool(np.isin(values, (0.0, 1.0)).all())
    figures = float(values.mean()), float(values.std()), len(values)
    return of_mean(*figures, level, limits, is_share=share)


def of_mean(
    mean: float,
    spread: float,
    count: int,
    level: float,
    limits: Limits = UNLIMITED,
    *,
    is_share: bool = False,
) -> Interval:
    """The mean of `count` values with its interval; `spread` is their own deviation, and not an
    estimate of that of all. Where it `is_share`, every value is 0 or 1 and the interval
    is `wilson`'s; else one value has none.

    Student's t, which of values near a limit would reach beyond it and miss the truth. Between
    two limits it is Wilson's of as many values as would spread as much were all of them at one
    limit or the other: Korn and Graubard (1998), Confidence Intervals for Proportions, with their
    effective number; in the middle both are alike.
    """
    if is_share:
        return wilson(round(mean * count), count, level)
    if count < 2:
        return Interval(mean, -math.inf, math.inf)
    reach = reach_of(level, count - 1)
    low, high = limits
    if spread == 0 or not (math.isfinite(high - low) and low < mean < high):
        half = reach * spread / math.sqrt(count - 1)
        return Interval(mean, mean - half, mean + half).within(low, high)
    share = (mean - low) / (high - low)
    most = share * (1 - share)
    times = reach**2 * (spread / (high - low)) ** 2 / (most * (count - 1))  # reach^2 / number
    middle = (share + times / 2) / (1 + times)
    half = math.sqrt(times * most + times**2 / 4) / (1 + times)
    found = (low + (high - low) * part for part in (middle - half, middle + half))
    return Interval(mean, *found).within(low, high)


def wilson(hits: int, count: int, level: float) -> Interval:
    """A share and its interval: Wilson (1927), Probable Inference, which holds for shares near 0
    and 1 too."""
    from scipy import stats

    found = stats.binomtest(hits, count).proportion_ci(level, method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))
