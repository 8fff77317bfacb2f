"""What a sweep is said to show: a best only where the difference is clear."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from imagepipe.config import Sweep
from imagepipe.reports import statistics
from imagepipe.reports.comparison import measures, verdict
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison
from imagepipe.reports.comparison.measures import Entry
from imagepipe.reports.comparison.verdict import Verdict, conclude

STEADY = [[8.0, 1.0]] * statistics.BLOCKS
SPEED, SCORE = Sweep(), Sweep(objective="score")


def job(
    number: int,
    label: str,
    blocks=None,
    rate: float = 8.0,
    rows: int = 0,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Job:
    """As a finished run leaves it; `rows` are what an interval would take."""
    rates = {"steady": rate, "end_to_end": rate, "blocks": blocks}
    entry = {"job": number, "label": label, "swept": {}}
    summary = {"status": "FINISHED", "sweep": entry, "images_per_s": rates}
    return Job(Path(str(number)), {**summary, "rows_for_interval": rows, **more})


def timed(*slower: float, aim: Sweep = SPEED) -> Verdict:
    """Of two repeats of each, whose rounds differ by a hair more than the jobs do."""
    jobs = [
        job(10 * repeat + place, f"j{place}", (np.array(STEADY) * [1.0, times * hair]).tolist())
        for repeat, hairs in enumerate(([1.0, 1.001, 0.999], [1.001, 1.0, 1.0]))
        for place, (times, hair) in enumerate(zip(slower, hairs, strict=False))
    ]
    return conclude(jobs, aim)


def scored(scores: dict[str, dict[str, float]], aim: Sweep = SCORE) -> Verdict:
    found = [Entry(label, [job(place, label)]) for place, label in enumerate(scores)]
    measure, remarks = measures.scored(found, aim, "clip", scores)
    return verdict.judge(measure, remarks, aim)


def by_row(values) -> dict[str, float]:
    return {f"r{row}": float(value) for row, value in enumerate(values)}


def test_the_fastest_is_named_with_its_intervals():
    found = timed(1.0, 1.5)
    assert found.named is not None
    assert found.named.label == "j0"
    assert found.sentence.startswith("Fastest is j0: 8 (7.9")
    assert "pictures/s, 1.5 times (1.4" in found.sentence
    assert found.sentence.endswith(") as fast as j1.")
    assert [(s.entry.label, s.told) for s in found.standings] == [("j0", False), ("j1", True)]


def test_jobs_that_cannot_be_told_apart_are_named_together():
    found = timed(1.0, 1.0005, 1.5)
    assert found.named is None
    assert {entry.label for entry in found.best} == {"j0", "j1"}
    assert "No clear winner in speed" in found.sentence
    assert found.sentence.endswith("; 1 other is clearly behind.")


def test_two_jobs_that_ran_once_need_more_than_a_hair():
    jobs = [job(0, "a", STEADY), job(1, "b", (np.array(STEADY) * [1.0, 1.1]).tolist())]
    found = conclude(jobs, SPEED)
    assert found.named is None
    assert ": about sweep.repeats=" in found.sentence
    searched = replace(Comparison(jobs, SPEED), sweeper="optuna").verdict.sentence
    assert ": in a sweep of these jobs by hydra/sweeper=basic, about sweep.repeats=" in searched
    alone = replace(Comparison(jobs, SPEED), sweeper=None).verdict.sentence  # of single runs
    assert ": in one sweep of these settings, about sweep.repeats=" in alone
    jobs = [job(0, "a", STEADY), job(1, "b", (np.array(STEADY) * [1.0, 1.6]).tolist())]
    assert conclude(jobs, SPEED).sentence.startswith("Fastest is a: ")


def test_a_job_that_was_too_short_takes_part_in_no_ranking_by_speed():
    jobs = [job(0, "llm=none", None, 2.28, rows=304), job(1, "llm=tiny", None, 2.81, rows=304)]
    found = conclude(jobs, SPEED)
    assert (found.best, found.named) == ([], None)
    assert found.sentence == "Nothing to compare by images_per_s."
    assert found.remarks == [
        "too few pictures to compare the speed of: llm=none and llm=tiny; about limit=304 would do"
    ]


@pytest.mark.parametrize(
    ("tables", "typed"),
    [
        pytest.param({"rows": 24, "times": 1, "repeat": 1, "whole": False}, "limit=304", id="more"),
        pytest.param(
            {"rows": 100, "times": 1, "repeat": 1, "whole": True}, "dataset.repeat=4", id="all"
        ),
        pytest.param(
            {"rows": 100, "times": 2, "repeat": 2, "whole": True}, "dataset.repeat=4", id="repeated"
        ),
        pytest.param(
            {"rows": 100, "times": 3, "repeat": 1, "whole": True}, "dataset.repeat=2", id="crossed"
        ),
        pytest.param(
            {"rows": 24, "times": 3, "repeat": 1, "whole": False}, "limit=102", id="more-crossed"
        ),
        pytest.param({"notes": []}, "limit=304", id="of-before"),
    ],
)
def test_what_gives_more_rows_is_what_the_table_allows(tables: dict, typed: str):
    jobs = [
        job(place, name, None, rows=304, more={"tables": tables}) for place, name in enumerate("ab")
    ]
    (remark,) = conclude(jobs, SPEED).remarks
    assert remark == f"too few pictures to compare the speed of: a and b; about {typed} would do"
    noise = np.random.default_rng(3).normal(size=(2, 40))
    found = [Entry(name, [one]) for name, one in zip("ab", jobs, strict=True)]
    scores = {"a": by_row(noise[0]), "b": by_row(noise[1] + 0.1)}
    measure, remarks = measures.scored(found, SCORE, "clip", scores)
    said = verdict.judge(measure, remarks, SCORE).sentence
    assert f"about {typed.partition('=')[0]}=" in said


def test_the_baseline_is_what_is_asked_for_or_the_first():
    names = [(s.entry.label, s.against is None) for s in timed(1.0, 1.2, 1.5).standings]
    assert names == [("j0", True), ("j1", False), ("j2", False)]
    for asked in ("j2", "12"):
        found = timed(1.0, 1.2, 1.5, aim=Sweep(baseline=asked))
        assert [s.against is None for s in found.standings] == [False, False, True]
        assert all(s.told for s in found.standings[:2])
    assert timed(1.0, 1.2, aim=Sweep(baseline="j7")).remarks == [
        "sweep.baseline=j7 is none of these jobs; j0 is used"
    ]


def test_the_best_score_is_named_by_its_rows():
    rng = np.random.default_rng(1)
    base = rng.normal(size=64)
    found = scored({"a": by_row(base), "b": by_row(base + rng.normal(0.5, 0.5, 64))})
    assert found.named is not None
    assert found.named.label == "b"
    assert "above a, and better in 81 % of 64 rows." in found.sentence


@pytest.mark.parametrize(
    ("scores", "said", "remarks"),
    [
        pytest.param(
            {"a": by_row([0.5, 0.25, 0.75]), "b": by_row([0.5, 0.25, 0.75])},
            "No clear winner by clip between a and b: every row scores the same.",
            [],
            id="equal",
        ),
        pytest.param(
            {"a": by_row([0.5]), "b": by_row([0.75])},
            "No clear winner by clip between b and a: more rows would decide.",
            [],
            id="one-row",
        ),
        pytest.param(
            {"a": {"x": 0.5, "y": 0.5}, "b": {"z": 0.75}},
            "Nothing to compare by clip.",
            ["no row has a score by clip in every job"],
            id="no-row-in-common",
        ),
        pytest.param(
            {"a": {"x": 0.5, "y": 0.5, "z": 0.0}, "b": {"x": 0.5, "y": 0.5}},
            "No clear winner by clip between a and b: every row scores the same.",
            ["scores compared on the 2 of 3 rows that every job has"],
            id="a-row-failed",
        ),
        pytest.param(
            {"a": {}, "b": {}}, "Nothing to compare by clip.", ["no scores by clip"], id="none"
        ),
    ],
)
def test_scores_that_tell_nothing(scores: dict, said: str, remarks: list[str]):
    found = scored(scores)
    assert (found.sentence, found.remarks) == (said, remarks)
    assert found.named is None


def test_of_several_alike_it_is_said_which_two_more_rows_would_tell_apart():
    rng = np.random.default_rng(3)
    base = rng.normal(size=40)
    noise = [rng.normal(0, 1, 40) for _ in range(3)]
    found = scored(
        {n: by_row(base + x + up) for n, x, up in zip("abc", noise, (0, 0.1, 0.2), strict=True)}
    )
    top, *_, last = [s.entry.label for s in found.standings]
    assert re.search(rf"about limit=\d+ would decide between {top} and {last}\.$", found.sentence)


def test_a_job_below_the_rate_asked_for_is_not_best():
    rng = np.random.default_rng(2)
    base = rng.normal(size=40)
    scores = {"a": by_row(base), "b": by_row(base - 1), "c": by_row(base + 1)}
    found = [
        Entry("a", [job(0, "a")]),
        Entry("b", [job(1, "b")]),
        Entry("c", [job(2, "c", rate=2.0)]),
    ]
    aim = Sweep(objective="score", at_least_images_per_s=4.0)
    measure, remarks = measures.scored(found, aim, "clip", scores)
    judged = verdict.judge(measure, remarks, aim)
    assert judged.named is not None
    assert judged.named.label == "a"
    assert judged.remarks == ["slower than 4 pictures/s: c"]


SCORES = {
    "normal": lambda rng: rng.normal(size=32),
    "skewed": lambda rng: rng.lognormal(0, 1, size=32),
    "tied": lambda rng: rng.integers(0, 5, size=32) / 4,
}


def test_alike_jobs_have_no_best_by_score():
    rng, named = np.random.default_rng(3), 0
    for sweep in range(400):
        draw, rows = list(SCORES.values())[sweep % 3], rng.normal(size=32)
        found = {f"j{n}": rows + draw(rng) for n in range((2, 4, 8)[sweep // 3 % 3])}
        top, *others = sorted(found, key=lambda name: -found[name].mean())
        ps = {n: statistics.paired(found[top], found[n], 0.95, 250).p for n in others}
        named += all(statistics.holm(ps, 0.95).values())
    assert named / 400 <= 0.06


@pytest.mark.parametrize("repeats", [1, 3])
def test_alike_jobs_have_no_fastest(repeats: int):
    rng, named = np.random.default_rng(4), 0
    for sweep in range(400):
        jobs = (2, 4, 8)[sweep % 3]
        made = [
            job(jobs * repeat + n, f"j{n}", _noisy(rng).tolist())
            for repeat in range(repeats)
            for n in range(jobs)
        ]
        named += conclude(made, SPEED).named is not None
    assert named / 400 <= 0.06


def test_alike_jobs_have_no_fastest_where_other_load_comes_and_goes():
    rng, named = np.random.default_rng(6), 0
    for sweep in range(100):
        made = []
        for n in range((2, 4, 8)[sweep % 3]):
            used = float(rng.choice([0.0, rng.uniform(0, 1.6)]))  # of 2 CPUs
            slower = [1.0, (1 - used / 2) ** -measures.LOAD]
            blocks = (_noisy(rng) * slower).tolist()
            made.append(job(n, f"j{n}", blocks, more=beside(used)))
        named += conclude(made, SPEED).named is not None
    assert named / 100 <= 0.06


def beside(cpus: float | None) -> dict[str, Any]:
    """Of a summary: what other programs took of 2 CPUs."""
    return {"machine": {"others": {"cpus": cpus, "of_cpus": 2}}}


def test_load_that_differs_takes_repeats_by_turns_to_tell():
    slow = (np.array(STEADY) * [1.0, 1.6]).tolist()

    def concluded(*others: float | None, rounds: int = 1) -> Verdict:
        made = [
            job(10 * again + n, "ab"[n], blocks, more=beside(others[n]))
            for again in range(rounds)
            for n, blocks in enumerate((STEADY, slow))
        ]
        return conclude(made, SPEED)

    for alike in ((0.0, 0.0), (0.9, 0.9), (None, 1.0)):
        assert concluded(*alike).sentence.startswith("Fastest is a: ")
    found = concluded(0.0, 1.0)
    assert found.named is None
    assert re.fullmatch(
        "No clear winner in speed between a and b: other programs on the machine may explain the "
        r"difference; about sweep\.repeats=\d would decide\.",
        found.sentence,
    )
    apart = found.standings[1].against
    assert apart is not None and apart.interval.low < 0 < apart.interval.high
    assert concluded(0.0, 0.1).sentence.startswith("Fastest is a: ")  # that would not explain it
    assert concluded(0.0, 1.0, rounds=3).sentence.startswith("Fastest is a: ")


def _noisy(rng: np.random.Generator) -> np.ndarray:
    """Blocks of a run: noise that neighbours share, and what sets a whole run apart."""
    within = 0.05 * np.convolve(rng.normal(size=statistics.BLOCKS + 1), [0.9, 0.4], "valid")
    run = rng.normal(0, statistics.RUN_TO_RUN)
    return np.array([[64.0, 8.0 * math.exp(x + run)] for x in within])


def test_what_is_on_the_front_surely_perhaps_and_not():
    speed = {"fast": 1.0, "middle": 2.0, "slow": 4.0, "as-slow": 4.1}
    made = [
        Entry(name, [job(n, name, (np.array(STEADY) * [1.0, times]).tolist())])
        for n, (name, times) in enumerate(speed.items())
    ]
    rng = np.random.default_rng(5)
    base = rng.normal(size=64)
    better = {"fast": 0.0, "middle": -1.0, "slow": 2.0, "as-slow": 2.01}
    scores = {n: by_row(base + up + rng.normal(0, 0.1, 64)) for n, up in better.items()}
    rate, _ = measures.timed(made, SPEED)
    score, _ = measures.scored(made, SCORE, "clip", scores)
    assert verdict.on_the_front(rate, score, 0.95) == {
        "fast": "surely",
        "middle": "not",
        "slow": "perhaps",
        "as-slow": "perhaps",
    }
