"""What the jobs of a sweep let one conclude: which is best, how surely, and what would tell.

A best is named where it beats every other at the level that is asked for, corrected for how many
there are (Holm). Else the jobs that cannot be told apart are named together, with the rows or
repeats that would tell them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imagepipe.config import Sweep
from imagepipe.reports import statistics
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.statistics import Difference, Interval

Blocks = Sequence[Sequence[float]]  # of a run's batches: pictures, and seconds for them


@dataclass(frozen=True)
class Entry:
    """One combination of what the sweep varies: `runs` are its repeats, in the order of rounds."""

    label: str
    runs: Sequence[Job]

    @property
    def numbers(self) -> list[int]:
        return [job.number for job in self.runs]


@dataclass(frozen=True)
class Measure:
    """A figure that entries are compared by, of those that have it.

    `words` are of one entry in the superlative, and of several that are alike; `more` says what
    would tell two apart that differ so.
    """

    name: str
    entries: Sequence[Entry]
    values: Mapping[str, Interval]  # by label
    differ: Callable[[Entry, Entry], Difference]
    words: tuple[str, str]
    said: Callable[[Interval], str]
    apart: Callable[[Difference], str]
    more: Callable[[Difference], str]


@dataclass(frozen=True)
class Standing:
    """An entry and how it compares with the baseline; `told`: the difference would be found again.

    `against` is null for the baseline itself.
    """

    entry: Entry
    value: Interval
    against: Difference | None
    told: bool


@dataclass(frozen=True)
class Verdict:
    """`best` is one entry where it is named, several that cannot be told apart, or none."""

    measure: str
    best: Sequence[Entry]
    standings: Sequence[Standing]  # the best first
    sentence: str
    remarks: Sequence[str] = ()

    @property
    def named(self) -> Entry | None:
        """The best, where there is one."""
        return self.best[0] if len(self.best) == 1 else None


def entries(jobs: Sequence[Job]) -> list[Entry]:
    """The finished jobs, those that differ in the repeat alone taken together."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        if job.status == "FINISHED":
            found.setdefault(job.label, []).append(job)
    return [Entry(label, runs) for label, runs in found.items()]


def conclude(jobs: Sequence[Job], aim: Sweep) -> Verdict:
    """By `aim.objective`, at `aim.level`, against `aim.baseline`."""
    found = entries(jobs)
    if aim.objective == "score":
        name = aim.score or next((n for entry in found for n in entry.runs[0].scores), "score")
        tables = {entry.label: entry.runs[0].row_scores(name) for entry in found}
        measure, remarks = scored(found, aim, name, tables)
    else:
        measure, remarks = timed(found, aim)
    if len(found) < 2:
        return Verdict(measure.name, measure.entries[:1], [], "", remarks)
    return _judged(measure, aim, remarks)


def timed(found: Sequence[Entry], aim: Sweep) -> tuple[Measure, list[str]]:
    """Pictures per second of those that drew long enough, and what to say of the others."""
    blocks = {entry.label: [b for job in entry.runs if (b := blocks_of(job))] for entry in found}
    long = [entry for entry in found if blocks[entry.label]]
    noise = statistics.noise([blocks[entry.label] for entry in long]) if long else None
    values = (
        {e.label: statistics.pooled_rate(blocks[e.label], noise, aim.level) for e in long}
        if noise
        else {}
    )

    def differ(one: Entry, other: Entry) -> Difference:
        assert noise is not None
        return statistics.faster(blocks[one.label], blocks[other.label], noise, aim.level)

    def more(apart: Difference) -> str:
        repeats = statistics.needed(apart.interval.value, apart.spread, aim.level)
        if repeats is None or repeats > MOST_REPEATS:
            return "take them as equally fast"
        return f"about sweep.repeats={max(2, repeats)} would tell"

    measure = Measure(
        name="images_per_s",
        entries=long,
        values=values,
        differ=differ,
        words=("Fastest is", "cannot be told apart in speed"),
        said=lambda value: f"{_interval(value, 3)} pictures/s",
        apart=_times,
        more=more,
    )
    return measure, _too_short([entry for entry in found if entry not in long])


def blocks_of(job: Job) -> Blocks | None:
    """What a job's `summary.json` has of its batches; null where it drew too few."""
    return (job.summary.get("images_per_s") or {}).get("blocks")


MOST_REPEATS = 50


def _too_short(short: Sequence[Entry]) -> list[str]:
    if not short:
        return []
    rows = [job.summary.get("rows_for_interval") for entry in short for job in entry.runs]
    known = [number for number in rows if number]
    enough = f"; about limit={max(known)} would do" if known else ""
    return [f"too short for a rate with an interval: {_listed(short)}{enough}"]


def scored(
    found: Sequence[Entry], aim: Sweep, name: str, tables: Mapping[str, Mapping[str, float]]
) -> tuple[Measure, list[str]]:
    """The score `name` over the rows that all entries have; `tables` are {label: {row: score}}.

    Entries below the rate that is asked for are left out.
    """
    slow = [entry for entry in found if is_too_slow(entry, aim)]
    kept = [entry.label for entry in found if entry not in slow]
    tables = {label: tables[label] for label in kept if tables[label]}
    common = sorted(set.intersection(*map(set, tables.values()))) if tables else []
    values = {label: np.array([scores[row] for row in common]) for label, scores in tables.items()}
    having = [entry for entry in found if entry.label in tables and common]

    def differ(one: Entry, other: Entry) -> Difference:
        return statistics.paired(values[one.label], values[other.label], aim.level)

    def more(apart: Difference) -> str:
        if math.isnan(apart.spread):
            return "more rows would tell"
        if apart.spread == 0:
            return "every row scores the same"
        rows = statistics.needed(apart.interval.value, apart.spread, aim.level)
        return f"about limit={rows} would tell" if rows else "take them as equally good"

    zero = np.zeros(len(common))
    measure = Measure(
        name=name,
        entries=having,
        values={
            e.label: statistics.paired(values[e.label], zero, aim.level).interval for e in having
        },
        differ=differ,
        words=(f"Best by {name} is", f"cannot be told apart by {name}"),
        said=lambda value: _interval(value, 3),
        apart=_above,
        more=more,
    )
    remarks = (
        [f"slower than {aim.at_least_images_per_s:g} pictures/s: {_listed(slow)}"] if slow else []
    )
    return measure, [*remarks, *_rows_missing(name, tables, common)]


def is_too_slow(entry: Entry, aim: Sweep) -> bool:
    """Whether the entry draws slower than `sweep.at_least_images_per_s`, as far as it is known."""
    if aim.at_least_images_per_s is None:
        return False
    rates = [job.rate("steady") or job.rate("end_to_end") or 0.0 for job in entry.runs]
    return float(np.mean(rates)) < aim.at_least_images_per_s


def _rows_missing(
    name: str, tables: Mapping[str, Mapping[str, float]], common: Sequence[str]
) -> list[str]:
    every = {row for scores in tables.values() for row in scores}
    if not common:
        return [f"no row has a score by {name} in every job" if every else f"no scores by {name}"]
    if len(common) < len(every):
        return [f"scores compared on the {len(common)} of {len(every)} rows that every job has"]
    return []


def _judged(measure: Measure, aim: Sweep, remarks: Sequence[str]) -> Verdict:
    ranked = sorted(measure.entries, key=lambda e: -measure.values[e.label].value)
    if len(ranked) < 2:
        return Verdict(measure.name, [], [], f"Nothing to compare by {measure.name}.", remarks)
    top, *others = ranked
    apart = {other.label: measure.differ(top, other) for other in others}
    beaten = statistics.holm({label: found.p for label, found in apart.items()}, aim.level)
    best = [top, *(other for other in others if not beaten[other.label])]
    standings, strange = _standings(measure, ranked, aim)
    sentence = (
        _named(measure, top, others[0], apart)
        if len(best) == 1
        else _tied(measure, best, apart, len(ranked))
    )
    return Verdict(measure.name, best, standings, sentence, [*remarks, *strange])


def _standings(
    measure: Measure, ranked: Sequence[Entry], aim: Sweep
) -> tuple[list[Standing], list[str]]:
    wanted = next((e for e in ranked if aim.baseline in (e.label, *map(str, e.numbers))), None)
    base = wanted or min(ranked, key=lambda entry: entry.numbers[0])
    against = {e.label: measure.differ(e, base) for e in ranked if e is not base}
    told = statistics.holm({label: found.p for label, found in against.items()}, aim.level)
    standings = [
        Standing(e, measure.values[e.label], against.get(e.label), told.get(e.label, False))
        for e in ranked
    ]
    if aim.baseline is None or wanted:
        return standings, []
    return standings, [f"sweep.baseline={aim.baseline} is none of these jobs; it is {base.label}"]


def _named(measure: Measure, top: Entry, second: Entry, apart: Mapping[str, Difference]) -> str:
    value = measure.said(measure.values[top.label])
    by = measure.apart(apart[second.label])
    return f"{measure.words[0]} {top.label}: {value}, {by} {second.label}."


def _tied(
    measure: Measure, best: Sequence[Entry], apart: Mapping[str, Difference], ranked: int
) -> str:
    widest = max((apart[e.label] for e in best[1:]), key=lambda found: abs(found.interval.value))
    rest = ranked - len(best)
    behind = f"; {rest} other{'s are' if rest > 1 else ' is'} behind" if rest else ""
    return f"{_listed(best)} {measure.words[1]}: {measure.more(widest)}{behind}."


def _times(found: Difference) -> str:
    value, low, high = (
        math.exp(x) for x in (found.interval.value, found.interval.low, found.interval.high)
    )
    return f"{value:.2f} times ({low:.2f} to {high:.2f}) as fast as"


def _above(found: Difference) -> str:
    return (
        f"{_interval(found.interval, 3)} above, and better in {100 * (found.wins or 0):.0f} % of "
        f"{found.count} rows than,"
    )


def _interval(found: Interval, digits: int) -> str:
    return f"{found.value:.{digits}g} ({found.low:.{digits}g} to {found.high:.{digits}g})"


def _listed(found: Sequence[Entry]) -> str:
    names = [entry.label for entry in found]
    return names[0] if len(names) == 1 else f"{'; '.join(names[:-1])} and {names[-1]}"


def on_the_front(rate: Measure, score: Measure, level: float) -> dict[str, str]:
    """Of each entry that has both figures: `surely`, `perhaps` or `not` on the Pareto front.

    Surely: against each other one it is told to be better in one figure. Not: another is told to
    be better in both.
    """
    both = [entry for entry in rate.entries if entry in score.entries]
    signs = {
        (one.label, other.label): [_told(m.differ(one, other), level) for m in (rate, score)]
        for one in both
        for other in both
        if one is not other
    }
    return {one.label: _membership(one, both, signs) for one in both}


def _told(found: Difference, level: float) -> int:
    """1 where the first is told to be better, -1 worse, 0 where the data do not tell."""
    return int(math.copysign(1, found.interval.value)) if found.p <= 1 - level else 0


def _membership(one: Entry, both: Sequence[Entry], signs: Mapping[Any, Sequence[int]]) -> str:
    against = [signs[one.label, other.label] for other in both if other is not one]
    if any(max(found) < 0 for found in against):
        return "not"
    return "surely" if all(max(found) > 0 for found in against) else "perhaps"
