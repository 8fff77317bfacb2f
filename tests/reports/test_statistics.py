"""What is concluded from measurements, tried on simulated ones of which the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from imagepipe.reports import means, scores, statistics
from imagepipe.reports.statistics import Interval
from imagepipe.sink.ledger import Scores

LEVEL = 0.95
SCORES = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "skewed": lambda rng, rows: rng.lognormal(0.0, 0.5, size=rows),
    "tied": lambda rng, rows: rng.integers(0, 5, size=rows) / 4,
}
TRUTH = {"normal": 0.0, "skewed": math.exp(0.125), "tied": 0.5}


def blocks(rng: np.random.Generator, alike: float, batches: int = 40, noise: float = 0.15):
    """Of a run whose batches take 1 s in the middle; neighbours are `alike`."""
    white = rng.normal(size=batches + 50) * noise * math.sqrt(1 - alike**2)
    seconds = np.exp(lfilter([1.0], [1.0, -alike], white)[50:])
    found = statistics.blocks_of(np.cumsum(seconds), np.full(batches, 8.0), 0.0)
    assert found is not None
    return found


@pytest.mark.parametrize("sets", [500, pytest.param(2000, marks=pytest.mark.faults)])
@pytest.mark.parametrize("kind", SCORES)
def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says(kind: str, sets: int):
    rng, held = np.random.default_rng(5), 0
    for _ in range(sets):
        other = rng.normal(size=32)
        found = statistics.paired(other + SCORES[kind](rng, 32), other, LEVEL, 400).interval
        held += found.low <= TRUTH[kind] <= found.high
    assert 0.93 <= held / sets <= 0.97


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.6])
def test_the_interval_of_a_rate_holds_the_truth_as_often_as_it_says(alike: float):
    rng, truth, held = np.random.default_rng(6), 8 / math.exp(0.15**2 / 2), 0
    for _ in range(2000):
        found = statistics.rate(blocks(rng, alike), LEVEL)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / 2000 <= 0.97


def test_power_is_what_simulated_pairs_find():
    rng = np.random.default_rng(7)
    for effect, rows in ((0.3, 64), (0.5, 32), (0.2, 200)):
        apart = rng.normal(effect, 1.0, size=(2000, rows))
        t = apart.mean(axis=1) / apart.std(axis=1, ddof=1) * math.sqrt(rows)
        found = np.mean(np.abs(t) > statistics.reach_of(LEVEL, rows - 1))
        assert abs(found - statistics.power(effect, 1.0, rows, LEVEL)) <= 0.05


@pytest.mark.faults
@pytest.mark.parametrize(("effect", "rows"), [(0.3, 64), (0.5, 32)])
def test_power_is_what_the_bootstrap_finds(effect: float, rows: int):
    rng, told = np.random.default_rng(10), 0
    for _ in range(1000):
        apart = rng.normal(effect, 1.0, size=rows)
        told += statistics.paired(apart, np.zeros(rows), LEVEL, 400).p <= 1 - LEVEL
    assert abs(told / 1000 - statistics.power(effect, 1.0, rows, LEVEL)) <= 0.05


@pytest.mark.parametrize(
    "limits",
    [means.UNLIMITED, (0.0, 1.0), (-100.0, 100.0)],
    ids=["none", "probability", "cosine"],
)
@pytest.mark.parametrize(
    "values",
    [[0.25, 0.5, 1.0, 0.75], [1, 0, 1, 1], [0.5, 0.5], [0.3]],
    ids=["spread", "shares", "alike", "one"],
)
def test_a_mean_has_one_interval_wherever_it_is_shown(values: list[float], limits: means.Limits):
    summed = Scores()
    summed.add(values)
    in_run, on_page = scores.mean(summed, LEVEL, limits), means.average(values, LEVEL, limits)
    for one, other in zip(in_run.as_json, on_page.as_json, strict=True):
        assert one == other or one == pytest.approx(other)


def test_a_mean_has_students_interval_and_a_share_wilsons():
    values = [0.25, 0.5, 1.0, 0.75]
    assert means.average([1, 0, 1, 1], LEVEL) == means.wilson(3, 4, LEVEL)
    found = means.of_mean(float(np.mean(values)), float(np.std(values)), 4, LEVEL)
    reach = 3.182 * np.std(values, ddof=1) / 2
    assert found.high - found.value == pytest.approx(reach, rel=1e-3)


def test_what_is_needed_is_just_enough():
    rows = statistics.needed(0.25, 1.0, LEVEL)
    assert rows is not None
    assert statistics.power(0.25, 1.0, rows, LEVEL) >= statistics.POWER
    assert statistics.power(0.25, 1.0, rows - 1, LEVEL) < statistics.POWER
    assert statistics.needed(0.0, 1.0, LEVEL) is None
    assert statistics.needed(1.0, 0.0, LEVEL) == 2


def test_a_difference_is_of_rows_and_says_how_often_the_first_wins():
    found = statistics.paired([3, 2, 2, 5], [1, 2, 4, 1], LEVEL)
    assert (found.interval.value, found.count, found.wins) == (1.0, 4, 0.625)
    assert found.interval.low < 1.0 < found.interval.high
    assert found == statistics.paired([3, 2, 2, 5], [1, 2, 4, 1], LEVEL)


@pytest.mark.parametrize(
    ("one", "p", "limits"),
    [
        pytest.param([1.0], 1.0, (-math.inf, math.inf), id="one-row"),
        pytest.param([0.0] * 9, 1.0, (0.0, 0.0), id="equal"),
        pytest.param([0.25] * 9, 0.0, (0.25, 0.25), id="always-as-much"),
    ],
)
def test_differences_without_spread(one: list[float], p: float, limits: tuple[float, float]):
    found = statistics.paired(one, [0.0] * len(one), LEVEL)
    assert (found.p, (found.interval.low, found.interval.high)) == (p, limits)


def runs(rng: np.random.Generator, count: int, apart: float, slower: float = 1.0):
    """Of one job, as many runs as `count` that lie `apart`, `slower` times as long."""
    return [blocks(rng, 0.3) * [1.0, slower * math.exp(rng.normal(0, apart))] for _ in range(count)]


def test_three_repeats_tell_a_job_that_is_ten_percent_slower():
    rng, told = np.random.default_rng(8), 0
    for _ in range(400):
        jobs = [runs(rng, 3, 0.01, slower) for slower in (1.0, 1.0, 1.1, 1.2)]
        found = statistics.faster(jobs[0], jobs[2], statistics.noise(jobs), LEVEL)
        told += found.interval.low > 0
    assert told / 400 >= 0.75


@pytest.mark.parametrize(
    ("jobs", "rounds", "apart"),
    [
        pytest.param(2, 1, statistics.RUN_TO_RUN, id="two-once"),
        pytest.param(2, 3, 0.10, id="two-thrice"),
        pytest.param(4, 2, 0.10, id="four-twice"),
    ],
)
def test_alike_jobs_are_seldom_told_apart(jobs: int, rounds: int, apart: float):
    rng, told = np.random.default_rng(9), 0
    for _ in range(1000):
        ran = [runs(rng, rounds, apart) for _ in range(jobs)]
        found = statistics.faster(ran[0], ran[1], statistics.noise(ran), LEVEL).interval
        told += not found.low <= 0 <= found.high
    assert told / 1000 <= 0.06


def test_one_run_each_is_not_taken_for_what_would_be_found_again():
    steady = np.tile([8.0, 1.0], (statistics.BLOCKS, 1))  # no noise within
    jobs = [[steady], [steady * [1.0, 1.05]]]
    found = statistics.faster(*jobs, statistics.noise(jobs), LEVEL).interval
    assert found.low < 0 < found.value < found.high
    assert found.value == pytest.approx(math.log(1.05))


def test_what_befell_a_whole_round_tells_no_job_from_another():
    steady = np.tile([8.0, 1.0], (statistics.BLOCKS, 1))
    jobs = [[steady * [1.0, job * slow] for slow in (1.0, 2.0, 3.0)] for job in (1.0, 1.1)]
    found = statistics.noise(jobs)
    assert found.free == 2
    assert found.spread == pytest.approx(0.0, abs=1e-9)


def test_a_job_too_short_for_an_interval_has_none():
    ends = np.arange(1.0, statistics.LEAST_BATCHES)
    assert statistics.blocks_of(ends, np.full(len(ends), 8.0), 0.0) is None
    found = statistics.blocks_of([*ends, len(ends) + 1.0], np.full(len(ends) + 1, 8.0), 0.0)
    assert found is not None
    assert found.shape == (statistics.BLOCKS, 2)
    assert statistics.rate(found, LEVEL) == Interval(*[pytest.approx(8.0)] * 3)


def test_several_comparisons_are_harder_than_one():
    assert statistics.holm({"a": 0.04}, LEVEL) == {"a": True}
    assert statistics.holm({"a": 0.04, "b": 0.03}, LEVEL) == {"a": False, "b": False}
    assert statistics.holm({"a": 0.04, "b": 0.02, "c": 0.2}, LEVEL) == dict.fromkeys("abc", False)
    assert statistics.holm({"a": 0.04, "b": 0.001}, LEVEL) == {"a": True, "b": True}


def test_a_share_has_wilsons_interval():
    found = means.wilson(396, 400, LEVEL)  # the formula by hand
    assert (found.value, found.low, found.high) == (
        0.99,
        pytest.approx(0.9746, abs=1e-4),
        pytest.approx(0.9961, abs=1e-4),
    )
