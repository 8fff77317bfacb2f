"""The verdict of a sweep: which job is best, how sure that is, or what would decide.

A best job is named if it beats every other job at the requested level, corrected for their number
(Holm). Otherwise the jobs without a clear winner are named together, with the rows or repeats that
would decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagepipe.config import Sweep
from imagepipe.reports import statistics
from imagepipe.reports.comparison.job import Job, deciding
from imagepipe.reports.comparison.measures import (
    Entry,
    Measure,
    entries,
    listed_entries,
    scored,
    timed,
)
from imagepipe.reports.statistics import Difference, Interval
from imagepipe.sink import sweeps


@dataclass(frozen=True)
class Standing:
    """An entry and how it compares with the baseline; `told`: the difference is clear.

    `against` is null for the baseline itself.
    """

    entry: Entry
    value: Interval
    against: Difference | None
    told: bool
    said: str  # its value, with its interval
    apart: str  # how it compares, in words; nothing for the baseline


@dataclass(frozen=True)
class Verdict:
    """`best` is one entry, several without a clear winner among them, or none."""

    measure: str
    best: Sequence[Entry]
    level: float
    standings: Sequence[Standing]  # the best first
    sentence: str
    remarks: Sequence[str] = ()

    @property
    def named(self) -> Entry | None:
        """The best, where there is one."""
        return self.best[0] if len(self.best) == 1 else None


def conclude(jobs: Sequence[Job], aim: Sweep) -> Verdict:
    """By `aim.objective`, at `aim.level`, against `aim.baseline`."""
    found = entries(jobs)
    return judge(*measured(found, aim, decisive(found, aim)), aim)


def decisive(found: Sequence[Entry], aim: Sweep) -> str | None:
    """The score that decides; null if the rate or the price does."""
    if aim.objective != "score":
        return None
    each = (deciding(aim, entry.runs[0].score_columns) for entry in found)
    return next(filter(None, each), "score")


def measured(
    found: Sequence[Entry], aim: Sweep, score: str | None, sweeper: str | None = sweeps.BASIC
) -> tuple[Measure, list[str]]:
    """The entries by `score`, or by their rate if it is null, and remarks on those left out.

    Repeats draw the same pictures: the first one's scores stand for all.
    """
    if score is None:
        return timed(found, aim, sweeper)
    tables = {entry.label: entry.runs[0].row_scores(score) for entry in found}
    return scored(found, aim, score, tables)


def judge(measure: Measure, remarks: Sequence[str], aim: Sweep) -> Verdict:
    """The verdict by `measure`; `remarks` are shown beside it."""
    ranked = sorted(measure.entries, key=lambda e: -measure.values[e.label].value)
    standings, strange = _standings(measure, ranked, aim) if ranked else ([], [])
    if len(ranked) < 2:
        alone = len(measure.all) < 2
        nothing = "" if alone else f"Nothing to compare by {measure.name}."
        best = ranked if alone else []
        return Verdict(measure.name, best, aim.level, standings, nothing, remarks)
    top, *others = ranked
    apart = {other.label: measure.differ(top, other) for other in others}
    beaten = statistics.holm({label: found.p for label, found in apart.items()}, aim.level)
    best = [top, *(other for other in others if not beaten[other.label])]
    sentence = (
        _named(measure, top, others[0], apart)
        if len(best) == 1
        else _tied(measure, best, apart, len(ranked))
    )
    return Verdict(measure.name, best, aim.level, standings, sentence, [*remarks, *strange])


def _standings(
    measure: Measure, ranked: Sequence[Entry], aim: Sweep
) -> tuple[list[Standing], list[str]]:
    wanted = next((e for e in ranked if aim.baseline in (e.label, *map(str, e.numbers))), None)
    base = wanted or min(ranked, key=lambda entry: entry.numbers[0])
    against = {e.label: measure.differ(e, base) for e in ranked if e is not base}
    told = statistics.holm({label: found.p for label, found in against.items()}, aim.level)
    standings = [
        Standing(
            e,
            measure.values[e.label],
            against.get(e.label),
            told.get(e.label, False),
            measure.said(measure.values[e.label]),
            measure.compared(against[e.label]) if e.label in against else "",
        )
        for e in ranked
    ]
    if aim.baseline is None or wanted:
        return standings, []
    return standings, [f"sweep.baseline={aim.baseline} is none of these jobs; {base.label} is used"]


def _named(measure: Measure, top: Entry, second: Entry, apart: Mapping[str, Difference]) -> str:
    value = measure.said(measure.values[top.label])
    by = measure.apart(apart[second.label], second.label)
    return f"{measure.words[0]} {top.label}: {value}, {by}."


def _tied(
    measure: Measure, best: Sequence[Entry], apart: Mapping[str, Difference], ranked: int
) -> str:
    far = max(best[1:], key=lambda entry: abs(apart[entry.label].interval.value))
    more = measure.more(apart[far.label])
    if len(best) > 2 and more.endswith(" would decide"):  # those that are nearer take more
        more += f" between {best[0].label} and {far.label}"
    rest = ranked - len(best)
    behind = f"; {rest} other{'s are' if rest > 1 else ' is'} clearly behind" if rest else ""
    named = f"{'between' if len(best) == 2 else 'among'} {listed_entries(best)}"
    return f"No clear winner {measure.words[1]} {named}: {more}{behind}."


def on_the_front(rate: Measure, score: Measure, level: float) -> dict[str, str]:
    """For each entry with both figures: `surely`, `perhaps` or `not` on the Pareto front.

    Surely: clearly better than each other entry in one figure. Not: another entry is clearly better
    in both. Corrected for the number of others (Bonferroni).
    """
    both = [entry for entry in rate.entries if entry in score.entries]
    least = (1 - level) / max(1, len(both) - 1)
    signs: dict[tuple[str, str], list[int]] = {}
    for one, other in itertools.combinations(both, 2):
        found = [_told(measure.differ(one, other), least) for measure in (rate, score)]
        signs[one.label, other.label] = found
        signs[other.label, one.label] = [-sign for sign in found]
    return {one.label: _membership(one, both, signs) for one in both}


def _told(found: Difference, least: float) -> int:
    """1 if the first is clearly better, -1 if clearly worse, 0 if the data cannot tell."""
    return int(math.copysign(1, found.interval.value)) if found.p <= least else 0


def _membership(one: Entry, both: Sequence[Entry], signs: Mapping[Any, Sequence[int]]) -> str:
    against = [signs[one.label, other.label] for other in both if other is not one]
    if any(max(found) < 0 for found in against):
        return "not"
    return "surely" if all(max(found) > 0 for found in against) else "perhaps"


def front_said(score: str, found: Mapping[str, str]) -> str:
    """The jobs on the front of rate and `score`, in one sentence; empty for a single job."""
    groups = {
        how: [label for label in found if found[label] == how] for how in ("surely", "perhaps")
    }
    said = [f"{how} {'; '.join(labels)}" for how, labels in groups.items() if labels]
    front = f"Best trade-offs of speed and {score} (Pareto front)"
    return f"{front}: {', '.join(said)}." if len(found) > 1 else ""
