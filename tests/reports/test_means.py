"""Means of scores that lie between limits: their intervals stay inside, and hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imagepipe.reports import means, scores, statistics
from imagepipe.reports.statistics import Interval
from imagepipe.sink.ledger import Scores

LEVEL = 0.95
PROBABILITY = (0.0, 1.0)
NEAR_ONE = {  # how a judge's probabilities of yes are spread, and their mean
    "sure": (lambda rng, rows: rng.beta(19, 1, size=rows), 0.95),
    "surer": (lambda rng, rows: rng.beta(99, 1, size=rows), 0.99),
    "skewed": (lambda rng, rows: rng.beta(9, 0.5, size=rows), 9 / 9.5),
    "torn": (lambda rng, rows: np.where(rng.random(rows) < 0.1, 0.05, 0.98), 0.887),
}


def interval(values, limits: means.Limits) -> Interval:
    return means.of_mean(float(np.mean(values)), float(np.std(values)), len(values), LEVEL, limits)


@pytest.mark.parametrize("kind", NEAR_ONE)
@pytest.mark.parametrize("rows", [64, 200])
def test_the_mean_of_probabilities_near_one_is_held_as_often_as_said(kind: str, rows: int):
    rng, (drawn, truth) = np.random.default_rng(11), NEAR_ONE[kind]
    found = [interval(drawn(rng, rows), PROBABILITY) for _ in range(2000)]
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.93 <= held <= 0.97
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found)


def test_students_reaches_beyond_one_where_this_does_not():
    values = [0.99] * 30 + [0.1] * 2
    plain, bounded = interval(values, means.UNLIMITED), interval(values, PROBABILITY)
    assert plain.high > 1 > bounded.high > bounded.value == plain.value
    assert interval([-one for one in values], (-1.0, 0.0)).low == pytest.approx(-bounded.high)
    percent = interval([100 * one for one in values], (0.0, 100.0))
    assert percent.high == pytest.approx(100 * bounded.high)


def test_far_from_its_limits_a_mean_has_students_interval():
    values = np.random.default_rng(1).normal(24, 2, size=50)
    near, plain = interval(values, (-100.0, 100.0)), interval(values, means.UNLIMITED)
    assert (near.low, near.high) == pytest.approx((plain.low, plain.high), abs=0.01)


def test_zeros_and_ones_have_wilsons():
    found = means.of_mean(0.9, 0.3, 4000, LEVEL, PROBABILITY)
    told = means.wilson(3600, 4000, LEVEL)
    assert (found.low, found.high) == pytest.approx((told.low, told.high), abs=1e-4)


@pytest.mark.parametrize(
    ("values", "limits", "found"),
    [
        pytest.param([0.97], PROBABILITY, (-math.inf, math.inf), id="one"),
        pytest.param([0.5, 0.5], PROBABILITY, (0.5, 0.5), id="equal"),
        pytest.param([1.0, 1.0], PROBABILITY, (1.0, 1.0), id="at-the-limit"),
        pytest.param([0.0, 3.0], (0.0, math.inf), (0.0, 20.559), id="one-sided"),
        pytest.param([1.5, 1.7], PROBABILITY, (0.3294, 1.6), id="limits-that-are-wrong"),
    ],
)
def test_odd_means(values, limits: means.Limits, found: tuple[float, float]):
    one = interval(values, limits)
    assert (one.low, one.high) == pytest.approx(found, abs=1e-3)
    assert one.low <= one.value <= one.high or len(values) == 1


def test_an_average_and_a_difference_stay_within_what_can_be():
    rng = np.random.default_rng(2)
    high, low = (
        np.where(rng.random(12) < 0.1, less, more) for less, more in ((0, 0.99), (1, 0.02))
    )
    assert means.average(high, LEVEL).high > 1 >= means.average(high, LEVEL, PROBABILITY).high
    apart = statistics.paired(high, low, LEVEL, most=1.0)
    assert statistics.paired(high, low, LEVEL).interval.high > 1 >= apart.interval.high
    other_way = statistics.paired(low, high, LEVEL, most=1.0).interval
    assert -1 <= other_way.low <= other_way.value == -apart.interval.value


def test_figures_of_a_summary_stay_within_its_limits():
    judged, said = Scores(), {"score_limits": {"vlm_shows": [0.0, 1.0], "many": [0.0, None]}}
    judged.add([0.99] * 30 + [0.1] * 2)
    limits = scores.limits(said)
    assert limits == {"vlm_shows": PROBABILITY, "many": (0.0, math.inf)}
    groups = {"": {"vlm_shows": judged, "other": judged}}
    found = scores.figures(groups, LEVEL, limits)[""]
    assert found["other"]["high"] > 1 > found["vlm_shows"]["high"]
    assert scores.limits({}) == {}  # of an earlier release's run
