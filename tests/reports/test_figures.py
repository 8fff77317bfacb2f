"""Figures as a person reads them: no sign before 0, no nan or inf, no exponent of a large one."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pytest
from helpers.compared import RED, Made, swept_into
from rich.console import Console

from imagepipe.config import Price, Share, Sweep
from imagepipe.errors import figure
from imagepipe.reports import comparison, cost, distances, figures, scores, statistics, terminal
from imagepipe.reports.comparison import tables
from imagepipe.reports.comparison.votes import percent
from imagepipe.reports.statistics import Interval
from imagepipe.sink.ledger import Scores

INF = math.inf
UNREADABLE = re.compile(r"\b(nan|inf|NaN|Infinity)\b|-0(\.0*)?(?![.\d])|\de[+]")


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.2, "0.2"), (-0.0, "0"), (0.04251, "0.0425"), (99.96, "100"), (-12.34, "-12.3"),
     (12345.6, "12,346"), (3.2e7, "32,000,000"), (-1234.0, "-1,234")],
)  # fmt: skip
def test_a_figure_has_three_digits_and_no_exponent(value: float, said: str):
    assert figure(value) == said


def test_a_rate_of_a_slow_model_is_not_0(tmp_path):
    out = Console(file=io.StringIO(), width=160)
    found = swept_into(tmp_path, [Made({"seed": "1"}, 0.0042, None, RED, side=8)])
    terminal.sweep_end(out, tmp_path, found, [])
    assert "job 0      FINISHED  0.0042 pictures/s  seed=1\n" in out.file.getvalue()


@pytest.mark.parametrize(("value", "said"), [(-0.0, "+0"), (0.25, "+0.25"), (-1500.0, "-1,500")])
def test_a_difference_has_its_sign(value: float, said: str):
    assert figure(value, sign="+") == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.1, 0.3, "0.2 (0.1 to 0.3)"), (-0.0, 0.3, "0.2 (0 to 0.3)"),
     (None, None, "0.2 (too few for an interval)"), (-INF, INF, "0.2 (too few for an interval)"),
     (math.nan, 0.3, "0.2 (too few for an interval)")],
)  # fmt: skip
def test_an_interval_that_is_none_is_said_so(low, high, said: str):
    assert figures.between(0.2, low, high) == said


@pytest.mark.parametrize(
    ("reach", "limits"), [(0.0, (2, 2)), (math.log(2), (1, 4)), (8.0, (-INF, INF)),
                          (1e4, (-INF, INF)), (INF, (-INF, INF))],
)  # fmt: skip
def test_a_ratio_whose_limits_are_far_away_has_none(reach: float, limits: tuple[float, float]):
    value = math.log(2)
    found = Interval(value, value - reach, value + reach).exp
    assert (found.value, found.low, found.high) == pytest.approx((2, *limits))


def test_two_runs_that_lie_far_apart_tell_nothing_at_a_high_level():
    """At 0.9999 and one degree of freedom Student's t reaches 6,366 standard errors."""
    runs = [np.array([[8.0, took]] * statistics.BLOCKS) for took in (1.0, 1.5, 2.0, 1.1)]
    noise = statistics.noise([runs[:2], runs[2:]])
    found = statistics.pooled_rate(runs[:2], noise, 0.9999)
    assert found.as_json == [pytest.approx(6.53, abs=0.01), None, None]


def scored(*values: float) -> Scores:
    found = Scores()
    found.add(values)
    return found


@pytest.mark.parametrize(
    ("values", "said"),
    [((0.2,), "0.20 (too few for an interval)"), ((-0.001, -0.001), "0.00 (0.00 to 0.00)"),
     ((-0.0, 0.0, -0.004), "0.00 (-0.01 to 0.00)"), ((1.0,), "100.0 % (20.7 to 100.0)")],
)  # fmt: skip
def test_a_score_on_the_terminal(values: tuple[float, ...], said: str):
    assert scores.said(scores.figures({"": {"s": scored(*values)}}, 0.95)[""]["s"]) == said


def test_a_share_of_votes_has_no_sign():
    assert percent(Interval(-0.5, -0.5 - 1e-12, 0.25), 0.5) == "0 % (0 to 75)"


def test_a_distance_and_a_price():
    figure = {"value": 12345.6, "low": -0.0, "high": 20000.0, "bias": -0.0}
    said = distances.figures({"kid": figure})
    assert said == {"kid": "12,346 (0 to 20,000), +0 of it because there are few pictures"}
    made = cost.of_run(
        {"end_to_end": 0.001}, {"model": Share(num_gpus=1)}, Price(gpu=45.0), 1, (None, 0)
    )
    assert cost.said(made) == "12,500, 278 GPU-hours for 1,000 pictures"


@pytest.mark.parametrize(
    "values",
    [pytest.param((0.2,), id="one"), pytest.param((-0.0, -0.0), id="zero"),
     pytest.param((1.0, 1.0, 0.0), id="shares"), pytest.param((2e6, 3e6), id="large")],
)  # fmt: skip
def test_nothing_of_a_comparison_is_unreadable(values, tmp_path):
    """Page, terminal, JSON and MLflow's note."""
    count = len(values)
    share = {"mean": sum(values) / count, "std": 0.1, "count": count, "share": 1.0 in values}
    jobs = [
        Made({"seed": str(seed)}, 3e4, None, RED, ["a"] * count, scores=values, side=8,
             categories=["c"] * count, more={"scores": {"clip": share}})
        for seed in range(2)
    ]  # fmt: skip
    found = swept_into(tmp_path, jobs, Sweep(objective="score"))
    kept = (tmp_path / "comparison.json").read_text()
    cells = str([tables.verdict(found), tables.categories(found), tables.job(found, found.jobs[0])])
    texts = [found.headline(), found.note(), kept, cells]
    page = (tmp_path / comparison.PAGE).read_text()
    table = re.sub(r"<[^>]*>", " ", re.search(r"(?s)<h2>Results.*?<h2>The same", page)[0])
    assert not [UNREADABLE.search(text) for text in [*texts, table] if UNREADABLE.search(text)]
    assert ("too few for an interval" in table) == (count == 1)


def test_the_share_of_a_jobs_pictures_has_an_interval_of_shares(tmp_path):
    share = {"mean": 0.875, "std": 0.33, "count": 8, "share": True}
    job = Made({"seed": "1"}, 1.0, None, RED, side=8, more={"scores": {"toy": share}})
    found = swept_into(tmp_path, [job])
    limits = tables.job(found, found.jobs[0])["limits"]
    assert limits["score toy"] == "0.5291 to 0.9776"
