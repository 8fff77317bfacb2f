"""Statistics of comparisons: differences with intervals, and whether a second try would show them.

Scores are compared in pairs, since all jobs of a sweep draw the same rows with the same seeds.
Rates are compared by their logarithms: one job is some factor as fast as another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

K = TypeVar("K")
RESAMPLES = 4000
MANY = 2000  # rows
FAR = 1e6  # standard errors: a resample of one row again and again has no spread of its own
SEED = 0  # the same data give the same interval each time
POWER = 0.8  # with which a difference is to be found by the rows or repeats that are advised
MOST = 1_000_000  # rows, or repeats: beyond it the jobs are called alike
BLOCKS = 6  # of a run's batches; neighbours are alike, blocks of them hardly
LEAST_BATCHES = 36  # fewer would leave blocks that are alike: tests/reports/test_statistics.py
MOST_TIMES = 1000.0  # as fast: an interval that reaches further says nothing
MOST_ALIKE = 0.6  # of neighbouring blocks, for their correlation is poorly known
# How far runs of the same job lie apart whatever happens within each: the standard deviation of the
# logarithm of a rate. The middle one of the variants' repeats in benchmarks/results/bare.json.
RUN_TO_RUN = 0.05


@dataclass(frozen=True)
class Interval:
    """An estimate, and between which limits the truth lies at the level that was asked for."""

    value: float
    low: float
    high: float

    @property
    def as_json(self) -> list[float | None]:
        """The estimate and its limits, null if they are not finite: JSON has no word for it."""
        every = (self.value, self.low, self.high)
        return [one if math.isfinite(one) else None for one in every]

    def within(self, low: float, high: float) -> Interval:
        """Of what cannot lie beyond `low` and `high`: cut there, it holds the truth as often. One
        that is not known stays so, and the estimate stays inside."""
        if not math.isfinite(self.low):
            return self
        return Interval(
            self.value,
            max(self.low, min(low, self.value)),
            min(self.high, max(high, self.value)),
        )

    @property
    def exp(self) -> Interval:
        """Of a logarithm; without limits where these lie more than MOST_TIMES apart from it."""
        reach = max(self.high - self.value, self.value - self.low)
        if reach > math.log(MOST_TIMES):
            return Interval(math.exp(self.value), -math.inf, math.inf)
        return Interval(math.exp(self.value), math.exp(self.low), math.exp(self.high))


@dataclass(frozen=True)
class Difference:
    """How far one job lies above another: `p` is of no difference at all, two-sided.

    `spread` is the standard deviation of one observation (a row's difference, or a repeat's), of
    which there are `count`; `wins` the share of rows in which the first is better, ties half;
    `bias` how much of it something else may explain, which the interval and `p` allow for.
    """

    interval: Interval
    p: float
    spread: float
    count: int
    wins: float | None = None
    bias: float = 0.0


def paired(
    one: ArrayLike,
    other: ArrayLike,
    level: float,
    resamples: int = RESAMPLES,
    most: float = math.inf,
) -> Difference:
    """By how much the scores `one` exceed `other`, row by row: (rows,) each, without NaN. No mean
    difference can be larger than `most`.

    The interval is the bootstrap's of Student's t, symmetric about the mean: Hall (1988), On
    Symmetric Bootstrap Confidence Intervals. It holds for skewed and for tied scores, where the
    plain percentiles of so few rows do not; `p` is of the same resamples. Of more than MANY rows
    it is Student's t itself, which is then the same. One row has no interval.
    """
    apart = np.asarray(one, float) - np.asarray(other, float)
    rows, mean = len(apart), float(apart.mean())
    wins = float(np.mean(np.sign(apart) / 2 + 0.5))
    if rows < 2:
        return Difference(Interval(mean, -math.inf, math.inf), 1.0, math.nan, rows, wins)
    spread = float(apart.std(ddof=1))
    if spread <= 1e-12 * max(1.0, abs(mean)):  # all rows differ by the same, or by nothing
        return Difference(Interval(mean, mean, mean), float(mean == 0), 0.0, rows, wins)
    error = spread / math.sqrt(rows)
    if rows > MANY:
        reach, p = reach_of(level, rows - 1), _p(mean / error, rows - 1)
    else:
        resampled = _resampled_t(apart, level, resamples)
        reach = float(np.quantile(resampled, level))
        beyond = np.count_nonzero(resampled >= abs(mean) / error)
        p = (1 + int(beyond)) / (1 + len(resampled))
    found = Interval(mean, mean - reach * error, mean + reach * error).within(-most, most)
    return Difference(found, p, spread, rows, wins)


def _resampled_t(apart: NDArray[np.float64], level: float, resamples: int) -> NDArray[np.float64]:
    """How far resampled means lie from the mean, in their own standard errors: (resamples,)."""
    from scipy import stats

    mean, rows = apart.mean(), len(apart)

    def t(sample: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        error = sample.std(axis=axis, ddof=1) / math.sqrt(rows)
        moved = np.abs(sample.mean(axis=axis) - mean)
        return np.divide(moved, error, out=np.full_like(error, FAR), where=error > 0)

    return stats.bootstrap(
        (apart,),
        t,
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // rows),
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).bootstrap_distribution


def rate(blocks: ArrayLike, level: float) -> Interval:
    """Pictures per second of a run, of its `blocks`: (BLOCKS, 2), pictures and seconds for them.

    A jackknife over the blocks: each is left out in turn, and how far the logarithm of the rate
    moves is what one block makes of it. Efron and Stein (1981), The Jackknife Estimate of Variance.
    The interval is of what varied within the run.
    """
    value = _log_rate(blocks)
    reach = reach_of(level, BLOCKS - 1) * _error(blocks)
    return Interval(value, value - reach, value + reach).exp


@dataclass(frozen=True)
class Noise:
    """How far runs of one job lie apart: the standard deviation of the logarithm of their rate,
    known as well as from `free` differences."""

    spread: float
    free: int


def noise(jobs: Sequence[Sequence[ArrayLike]]) -> Noise:
    """Of all `jobs`, a list of runs each, a run as `rate`'s blocks; runs at one place were made in
    one round, by turns.

    What is left of the rates once the job and the round are taken off: a two-way analysis of
    variance without interaction. One run each says nothing of how far runs lie apart: RUN_TO_RUN is
    taken for that, besides what varied within them.
    """
    rounds = min(len(runs) for runs in jobs)
    if rounds == 1 or len(jobs) == 1:
        within = np.mean([_error(run) ** 2 for runs in jobs for run in runs])
        return Noise(math.sqrt(within + RUN_TO_RUN**2), len(jobs) * (BLOCKS - 1))
    logs = np.array([[_log_rate(run) for run in runs[:rounds]] for runs in jobs])
    left = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    free = (len(jobs) - 1) * (rounds - 1)
    return Noise(math.sqrt(float((left**2).sum()) / free), free)


def pooled_rate(runs: Sequence[ArrayLike], found: Noise, level: float) -> Interval:
    """Pictures per second of a job over its `runs`, as far as runs of this sweep lie apart."""
    value = float(np.mean([_log_rate(run) for run in runs]))
    reach = reach_of(level, found.free) * found.spread / math.sqrt(len(runs))
    return Interval(value, value - reach, value + reach).exp


def faster(
    one: Sequence[ArrayLike],
    other: Sequence[ArrayLike],
    found: Noise,
    level: float,
    bias: float = 0.0,
) -> Difference:
    """How many times as fast one job is as another, as logarithm, over the rounds that both have.

    Student's t with what all runs of the sweep say of how far runs lie apart. `bias` is how much of
    it something else may explain: the interval reaches further by that to either side, and `p` is
    of what is left.
    """
    rounds = min(len(one), len(other))
    logs = [[_log_rate(run) for run in runs[:rounds]] for runs in (one, other)]
    mean, spread = float(np.mean(logs[0]) - np.mean(logs[1])), found.spread * math.sqrt(2)
    error, beyond = spread / math.sqrt(rounds), max(0.0, abs(mean) - bias)
    reach, p = bias, float(beyond == 0)
    if error > 0:
        reach, p = reach + reach_of(level, found.free) * error, _p(beyond / error, found.free)
    interval = Interval(mean, mean - reach, mean + reach)
    return Difference(interval, p, spread, rounds, bias=bias)


def blocks_of(ends: ArrayLike, pictures: ArrayLike, began: float) -> NDArray[np.float64] | None:
    """BLOCKS of a run's batches: (BLOCKS, 2), pictures and seconds; null for too few batches.

    `ends` are the times at which batches were done, in order, the first after `began`.
    """
    ends, pictures = np.asarray(ends, float), np.asarray(pictures, float)
    if len(ends) < LEAST_BATCHES:
        return None
    taken = np.diff(ends, prepend=began)
    parts = np.array_split(np.arange(len(ends)), BLOCKS)
    found = np.array([[pictures[part].sum(), taken[part].sum()] for part in parts])
    return found if (found > 0).all() else None


def holm(ps: Mapping[K, float], level: float) -> dict[K, bool]:
    """Which of several comparisons hold together at `level`: Holm (1979), step by step down."""
    found = dict.fromkeys(ps, False)
    for place, name in enumerate(sorted(ps, key=lambda name: ps[name])):
        if ps[name] > (1 - level) / (len(ps) - place):
            break
        found[name] = True
    return found


def power(effect: float, spread: float, count: int, level: float) -> float:
    """The chance that so many pairs show a difference of `effect`, of one's deviation `spread`.

    Of the two-sided paired t test: Cohen (1988), Statistical Power Analysis, chapter 2.
    """
    from scipy import stats

    if count < 2:
        return 0.0
    if spread == 0:
        return float(effect != 0)
    shift, edge = effect / spread * math.sqrt(count), reach_of(level, count - 1)
    return float(stats.nct.sf(edge, count - 1, shift) + stats.nct.cdf(-edge, count - 1, shift))


def needed(effect: float, spread: float, level: float) -> int | None:
    """How many pairs find a difference of `effect` with POWER; null if MOST would not."""
    low, high = 1, 2
    while power(effect, spread, high, level) < POWER:
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if power(effect, spread, middle, level) >= POWER else (middle, high)
        )
    return high


@cache
def reach_of(level: float, free: int) -> float:
    """Student's t: how many standard errors the interval reaches to each side."""
    from scipy import special  # `scipy.stats` would take every run half a second and 50 MiB

    return float(special.stdtrit(free, (1 + level) / 2))


def _log_rate(blocks: ArrayLike) -> float:
    pictures, seconds = np.asarray(blocks, float).sum(axis=0)
    return math.log(pictures / seconds)


def _error(blocks: ArrayLike) -> float:
    """The standard error of the logarithm of the rate, by leaving out each block in turn.

    What blocks still have in common with their neighbours makes it larger, by their correlation at
    lag 1 (less its bias, 1 / blocks) as of an autoregression: Priestley (1981), section 5.3.
    """
    blocks = np.asarray(blocks, float)
    rest = blocks.sum(axis=0) - blocks
    logs = np.log(rest[:, 0] / rest[:, 1])
    apart, count = logs - logs.mean(), len(blocks)
    total = float((apart**2).sum())
    if total == 0:
        return 0.0
    alike = float((apart[1:] * apart[:-1]).sum()) / total + 1 / count
    alike = min(max(alike, 0.0), MOST_ALIKE)
    return math.sqrt((count - 1) / count * total * (1 + alike) / (1 - alike))


def _p(t: float, free: int) -> float:
    from scipy import special

    return float(2 * special.stdtr(free, -abs(t)))
