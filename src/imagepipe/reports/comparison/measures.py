"""The measures by which jobs are compared: their rate, or a score of the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from imagepipe.config import Sweep
from imagepipe.errors import figure
from imagepipe.reports import figures, means, statistics
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.statistics import Difference, Interval
from imagepipe.sink.sweeps import BASIC

Blocks = Sequence[Sequence[float]]  # of a run's batches: pictures, and seconds for them
MOST_REPEATS = 50
# The rate of a job follows the share of CPUs that others leave it by no more than this power. With
# the embedded model it is 1.0 to 1.3 (benchmarks/LOG.md): a step waits for its slowest thread.
LOAD = 1.5
PER_DOLLAR = "pictures_per_dollar"  # of `sweep.objective`


@dataclass(frozen=True)
class Entry:
    """One combination of swept values; `runs` are its repeats, in the order of rounds."""

    label: str
    runs: Sequence[Job]

    @property
    def numbers(self) -> list[int]:
        return [job.number for job in self.runs]


@dataclass(frozen=True)
class Measure:
    """A figure for comparing `entries`, those of `all` that have it.

    `words` introduce one best entry, and say by what there is no clear winner; `more` says what
    would decide between two.
    """

    name: str
    all: Sequence[Entry]
    entries: Sequence[Entry]
    values: Mapping[str, Interval]  # by label
    differ: Callable[[Entry, Entry], Difference]
    words: tuple[str, str]
    said: Callable[[Interval], str]
    apart: Callable[[Difference, str], str]  # and the label of the other
    compared: Callable[[Difference], str]
    more: Callable[[Difference], str]


def entries(jobs: Sequence[Job]) -> list[Entry]:
    """The finished jobs; repeats of one job form one entry."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        if job.status == "FINISHED":
            found.setdefault(job.label, []).append(job)
    return [Entry(label, runs) for label, runs in found.items()]


def timed(
    found: Sequence[Entry], aim: Sweep, sweeper: str | None = BASIC
) -> tuple[Measure, list[str]]:
    """Pictures per second of the entries that drew long enough, and remarks on the others.

    A `sweeper` that searches takes no repeats, and single runs, of none, have no such: those need
    a sweep of their own.
    """
    paid = aim.objective == PER_DOLLAR
    whole = [entry for entry in found if not any(job.reused for job in entry.runs)]
    blocks = {e.label: [b for job in e.runs if (b := _drawn(job, paid=paid))] for e in whole}
    long = [entry for entry in whole if blocks[entry.label]]
    noise = statistics.noise([blocks[entry.label] for entry in long]) if long else None
    values = (
        {e.label: statistics.pooled_rate(blocks[e.label], noise, aim.level) for e in long}
        if noise
        else {}
    )

    def differ(one: Entry, other: Entry) -> Difference:
        assert noise is not None
        runs = blocks[one.label], blocks[other.label]
        return statistics.faster(*runs, noise, aim.level, bias=_of_load(one, other))

    def more(apart: Difference) -> str:
        repeats = statistics.needed(apart.interval.value, apart.spread, aim.level)
        if repeats is None or repeats > MOST_REPEATS:
            return f"treat them as equally {'cheap' if paid else 'fast'}"
        others = apart.bias > abs(apart.interval.value) / 2
        why = "other programs on the machine may explain the difference; " if others else ""
        where = {BASIC: "", None: "in one sweep of these settings, "}.get(
            sweeper, f"in a sweep of these jobs by hydra/sweeper={BASIC}, "
        )
        return f"{why}{where}about sweep.repeats={max(2, repeats)} would decide"

    measure = Measure(
        name=PER_DOLLAR if paid else "images_per_s",
        all=found,
        entries=long,
        values=values,
        differ=differ,
        words=(
            f"{'Cheapest' if paid else 'Fastest'} is",
            f"in {'price' if paid else 'speed'}",
        ),
        said=lambda value: f"{in_words(value)} pictures{' for 1' if paid else '/s'}",
        apart=partial(_times, "cheap" if paid else "fast"),
        compared=partial(_beside, "cheap" if paid else "fast"),
        more=more,
    )
    short = [entry for entry in whole if entry not in long]
    return measure, [*_too_short(short), *_less(found), *_busy(found)]


def _of_load(one: Entry, other: Entry) -> float:
    """How far other load on the machine may have moved the logarithm of their rates apart; that of
    jobs that took turns is in the noise of their runs.
    """
    ours, theirs = one.runs[0].cpus_left, other.runs[0].cpus_left
    if ours is None or theirs is None or min(len(one.runs), len(other.runs)) > 1:
        return 0.0
    return LOAD * abs(math.log(ours / theirs))


def _drawn(job: Job, *, paid: bool) -> Blocks | None:
    """A job's blocks; `paid`: with the pictures that a second's price buys, instead of those of
    a second. Null if it drew too few pictures or has no price.
    """
    blocks = blocks_of(job)
    if not paid or blocks is None:
        return blocks
    hourly = (job.summary.get("cost") or {}).get("price_per_hour")
    return [[pictures * 3600 / hourly, seconds] for pictures, seconds in blocks] if hourly else None


def blocks_of(job: Job) -> Blocks | None:
    """The blocks of batches in a job's `summary.json`; null if it drew too few."""
    return (job.summary.get("images_per_s") or {}).get("blocks")


def _too_short(short: Sequence[Entry]) -> list[str]:
    if not short:
        return []
    rows = [job.summary.get("rows_for_interval") for entry in short for job in entry.runs]
    known = [number for number in rows if number]
    enough = f"; about {_as_typed(max(known), short)} would do" if known else ""
    return [f"too few pictures to compare the speed of: {listed_entries(short)}{enough}"]


def _as_typed(rows: int, found: Sequence[Entry]) -> str:
    """The setting that gives about so many `rows`: a limit, or repeats if the table has no more
    rows.
    """
    every = [job.summary.get("tables") or {} for entry in found for job in entry.runs]
    read = [(one["rows"], one["times"], one["repeat"]) for one in every if one.get("whole")]
    if read:
        needed = max(math.ceil(rows * repeat / (own * times)) for own, times, repeat in read)
        return f"dataset.repeat={needed}"
    return f"limit={math.ceil(rows / min([one.get('times', 1) for one in every]))}"


def _less(found: Sequence[Entry]) -> list[str]:
    """A remark on entries whose speed is not compared, because they reused work."""
    less = [entry for entry in found if any(job.reused for job in entry.runs)]
    said = "reused work of other runs, so their speed is not compared"
    return [f"{said}: {listed_entries(less)}"] if less else []


def _busy(found: Sequence[Entry]) -> list[str]:
    """A remark on jobs with high other load on the machine."""
    jobs = [job for entry in found for job in entry.runs if job.busy]
    each = "; ".join(f"{job.busy} in job {job.number}" for job in jobs[:3])
    more = f"; and {len(jobs) - 3} more jobs" if len(jobs) > 3 else ""
    return [f"the machine was busy: {each}{more}"] if jobs else []


def scored(
    found: Sequence[Entry], aim: Sweep, name: str, tables: Mapping[str, Mapping[str, float]]
) -> tuple[Measure, list[str]]:
    """The score `name` over the rows that all entries have; `tables` are {label: {row: score}}.

    Entries below the requested rate are left out.
    """
    slow = [entry for entry in found if is_too_slow(entry, aim)]
    kept = [entry.label for entry in found if entry not in slow]
    tables = {label: tables[label] for label in kept if tables[label]}
    common = sorted(set.intersection(*map(set, tables.values()))) if tables else []
    values = {label: np.array([scores[row] for row in common]) for label, scores in tables.items()}
    having = [entry for entry in found if entry.label in tables and common]
    limits = limits_of(having, name)

    @cache  # the verdict, the baseline and the front ask for some of the same
    def apart(one: str, other: str) -> Difference:
        return statistics.paired(values[one], values[other], aim.level, most=limits[1] - limits[0])

    def more(apart: Difference) -> str:
        if math.isnan(apart.spread):
            return "more rows would decide"
        if apart.spread == 0:
            return "every row scores the same"
        rows = statistics.needed(apart.interval.value, apart.spread, aim.level)
        if rows is None:
            return "treat them as equally good"
        return f"about {_as_typed(rows, having)} would decide"

    measure = Measure(
        name=name,
        all=found,
        entries=having,
        values={e.label: means.average(values[e.label], aim.level, limits) for e in having},
        differ=lambda one, other: apart(one.label, other.label),
        words=(f"Best by {name} is", f"by {name}"),
        said=in_words,
        apart=_above,
        compared=_beyond,
        more=more,
    )
    remarks = _rows_missing(name, tables, common)
    if slow:
        least = f"{aim.at_least_images_per_s:g} pictures/s"
        remarks = [f"slower than {least}: {listed_entries(slow)}", *remarks]
    return measure, remarks


def limits_of(found: Sequence[Entry], name: str) -> means.Limits:
    """The limits of the scores by `name`; unknown if entries say different ones."""
    said = {entry.runs[0].limits(name) for entry in found}
    return said.pop() if len(said) == 1 else means.UNLIMITED


def is_too_slow(entry: Entry, aim: Sweep) -> bool:
    """Whether the entry is known to draw slower than `sweep.at_least_images_per_s`."""
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


def _times(how: str, found: Difference, other: str) -> str:
    ratio = found.interval.exp
    value, limits = figure(ratio.value), figures.limits(ratio.low, ratio.high)
    return f"{value} times ({limits}) as {how} as {other}"


def _beside(how: str, found: Difference) -> str:
    return f"{in_words(found.interval.exp)} times as {how}"


def _beyond(found: Difference) -> str:
    return f"{in_words(found.interval, '+')}; {_wins(found)}"


def _above(found: Difference, other: str) -> str:
    return f"{in_words(found.interval)} above {other}, and {_wins(found)}"


def _wins(found: Difference) -> str:
    rows = "1 row" if found.count == 1 else f"{found.count} rows"
    return f"better in {100 * (found.wins or 0):.0f} % of {rows}"


def in_words(found: Interval, sign: str = "") -> str:
    """A figure with its interval, as text."""
    return figures.between(found.value, found.low, found.high, sign=sign)


def listed_entries(found: Sequence[Entry]) -> str:
    names = [entry.label for entry in found]
    return names[0] if len(names) == 1 else f"{'; '.join(names[:-1])} and {names[-1]}"
