"""The ledger: how each input row ended: written, failed, unmatched, filtered, or already done."""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Stages in which a row fails by what its own cells hold.
FOR_GOOD = ("read", "prompt")
ENDS = ("written", "failed", "unmatched", "filtered", "already_done")
COUNTED = (
    *("written", "failed", "failed_for_good", "unmatched", "filtered"),
    *("pictures", "pictures_filtered", "prompts_cut"),
)
LEAST_S = 1.0  # of writing, for a steady rate
MOST_BATCHES = 4096  # whose times are kept
ANSWERS = ("llm_tokens_in", "llm_tokens_out", "llm_trimmed")
CLOCKED = ("drawn_at", "written_at")
MOST_KINDS, KIND_CHARS = 1000, 300  # of a tally
OTHERS = "others"


class Tally(Counter[str]):
    """Counts by kind, of limited size, because errors and words may differ from row to row.

    With MOST_KINDS counts, a new kind counts among OTHERS.
    """

    def add(self, kinds: Iterable[str]) -> None:
        """Count each of `kinds` once more."""
        for kind in kinds:
            kind = kind[:KIND_CHARS]
            self[kind if kind in self or len(self) < MOST_KINDS else OTHERS] += 1


@dataclass
class Scores:
    """Running figures of the pictures' scores."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, scores: Sequence[float]) -> None:
        """Take in the scores of one batch."""
        if scores:
            self.count += len(scores)
            self.total += sum(scores)
            self.squares += sum(score * score for score in scores)
            self.least, self.most = min(self.least, *scores), max(self.most, *scores)

    def figures(self) -> dict[str, float]:
        """count, mean, std (of the pictures, not of the mean), min, max; of at least one."""
        mean = self.total / self.count
        spread = math.sqrt(max(0.0, self.squares / self.count - mean * mean))
        limits = {"min": self.least, "max": self.most}
        return {"count": self.count, "mean": mean, "std": spread, **limits}


@dataclass
class Clock:
    """The times (`time.time()`) at which batches were drawn, or written, in any order.

    `at_once` of them are drawn side by side.
    """

    at_once: int = 1
    batches: int = 0
    pictures: int = 0
    early: list[tuple[float, int]] = field(default_factory=list)  # the first ones, by time
    later: list[tuple[float, int]] = field(default_factory=list)  # the others, by time
    last: float | None = None

    @property
    def first(self) -> float | None:
        return self.early[0][0] if self.early else None

    def add(self, at: float, pictures: int) -> None:
        """Take in one batch."""
        self.batches, self.pictures = self.batches + 1, self.pictures + pictures
        self.last = max(at, self.last or at)
        *self.early, late = sorted([*self.early, (at, pictures)])
        if len(self.early) < self.at_once:
            self.early.append(late)
        else:
            insort(self.later, late)
        if len(self.later) > MOST_BATCHES:  # memory stays the same however many rows there are
            self.later = [(b[0], a[1] + b[1]) for a, b in zip(*_pairs(self.later), strict=True)]

    def rate(self) -> float | None:
        """Pictures per second from the first batch of each process to the last of all.

        Those only start the clock, since their pictures were drawn before: processes that begin
        together end their first batches together. Null for less than three batches or LEAST_S,
        which say nothing of a steady state.
        """
        before = self._before
        if self.last is None or not before or self.last - before[-1][0] < LEAST_S:
            return None
        drawn = self.pictures - sum(pictures for _, pictures in before)
        return drawn / (self.last - before[-1][0])

    @property
    def _before(self) -> list[tuple[float, int]]:
        """The batches that only start the clock."""
        return self.early[: max(0, self.batches - 2)]

    @property
    def steady(self) -> list[tuple[float, int]]:
        """The batches of which `rate` is, by time, behind the one that starts the clock.

        A run of very many has neighbours added up.
        """
        before = self._before
        return [*before[-1:], *self.early[len(before) :], *self.later]


@dataclass
class Ledger:
    """Counts of a run, added up from the results of the writers. Times are `time.time()`.

    They are the writers' own times, because the driver may get several batches at once. `at_once`
    processes draw.
    """

    rows_read: int
    at_once: int = 1
    written: int = 0
    failed: int = 0
    failed_for_good: int = 0  # of those that failed; another try would change nothing
    unmatched: int = 0
    filtered: int = 0  # rows of which no picture was kept
    already_done: int = 0
    pictures: int = 0
    pictures_before: int = 0  # by earlier commands
    pictures_filtered: int = 0  # drawn and not kept, also of rows with others that are
    prompts_cut: int = 0
    llm_tokens_in: int = 0
    llm_tokens_out: int = 0
    llm_trimmed: int = 0  # answers of which a part is drawn
    llm_fallbacks: Tally = field(default_factory=Tally)  # base prompts drawn, by reason
    unknown_words: Tally = field(default_factory=Tally)
    prompt_signs: Tally = field(default_factory=Tally)  # prompts that hold them
    inversion_words: Tally = field(default_factory=Tally)  # prompts that hold each, also none
    reasons: Tally = field(default_factory=Tally)
    unmatched_reasons: Tally = field(default_factory=Tally)
    filtered_reasons: Tally = field(default_factory=Tally)
    scores: dict[str, Scores] = field(default_factory=dict)  # by the name of each
    unscored: Tally = field(default_factory=Tally)  # scores that are missing, by reason
    reused: Counter[str] = field(default_factory=Counter)  # rows that earlier runs did, by stage
    busy_s: Counter[str] = field(default_factory=Counter)  # of each stage's processes
    clocks: dict[str, Clock] = field(init=False)  # by what they tell
    recent: dict[str, Clock] = field(init=False)  # of the batches since `restart`

    def __post_init__(self) -> None:
        self.clocks, self.recent = self._clocks(), self._clocks()

    def _clocks(self) -> dict[str, Clock]:
        return {what: Clock(self.at_once) for what in CLOCKED}

    @property
    def first_written(self) -> float | None:
        """When the first pictures were on disk."""
        return self.clocks["written_at"].first

    def add(self, counts: pa.Table) -> None:
        """Take in rows of `sink.COUNTS`."""
        for row in counts.to_pylist():
            for name in (*COUNTED, *ANSWERS):
                setattr(self, name, getattr(self, name) + row[name])
            self.unknown_words.add(row["unknown_words"])
            self.prompt_signs.add(row["prompt_signs"])
            self.inversion_words.add(row["inversion_words"])
            self.reasons.add(row["reasons"])
            self.unmatched_reasons.add(row["unmatched_reasons"])
            self.filtered_reasons.add(row["filtered_reasons"])
            self.llm_fallbacks.add(row["llm_fallbacks"])
            for name, scores in row["scores"]:
                if scores:
                    self.scores.setdefault(name, Scores()).add(scores)
            self.unscored.add(row["unscored"])
            self.busy_s.update(dict(row["busy_s"]))
            self.reused.update(dict(row["reused"]))
            if row["pictures"]:
                for clocks in (self.clocks, self.recent):
                    for what, clock in clocks.items():
                        clock.add(row[what], row["pictures"])

    def drop(self, pictures: pa.Table, earlier: pa.Array) -> None:
        """Subtract pictures that were removed, as `sink.duplicates.DROPPED`; `earlier` are the
        ids of rows that earlier commands had done.
        """
        before = pc.is_in(pictures["id"], value_set=earlier)
        for which, drawn, end in (
            (before, "pictures_before", "already_done"),
            (pc.invert(before), "pictures", "written"),
        ):
            some = pictures.filter(which)
            reasons = _first_of_each(some)
            setattr(self, drawn, getattr(self, drawn) - len(some))
            setattr(self, end, getattr(self, end) - len(reasons))
            self.filtered += len(reasons)
            self.filtered_reasons.add(reasons)
        self.pictures_filtered += len(pictures)

    def restart(self) -> None:
        """Measure the steady rate from the next batch on: until now not all processes drew."""
        self.recent = self._clocks()

    @property
    def rows(self) -> int:
        """The rows that are accounted for."""
        return sum(getattr(self, end) for end in ENDS)

    @property
    def adds_up(self) -> bool:
        """Whether every row read has exactly one end."""
        return self.rows == self.rows_read

    def beyond(self, most: int | float | None) -> bool:
        """Whether more rows have failed than `most`: a number, or below 1 a share of all rows."""
        if most is None:
            return False
        return self.failed > (most * self.rows_read if 0 < most < 1 else most)

    def steady(self) -> float | None:
        """Pictures per second since `restart`; of all batches where those since are too few."""
        return _slower(self.recent) or _slower(self.clocks)

    def batches(self) -> list[tuple[float, int]]:
        """When the batches of the steady rate were done, and of how many pictures: `Clock.steady`
        of what was slower, drawing or writing; none where there is no rate.
        """
        clocks = next((one for one in (self.recent, self.clocks) if _slower(one)), {})
        return min(clocks.values(), key=lambda clock: clock.rate() or 0.0).steady if clocks else []

    def counts(self) -> dict[str, int]:
        """What the ends add up to, as `summary.json` and MLflow name them."""
        return {name: getattr(self, name) for name in ("rows_read", *ENDS)}


def _first_of_each(pictures: pa.Table) -> list[str]:
    """A reason for each id that has one."""
    rows = pictures.filter(pc.is_valid(pictures["reason"]))
    return list(
        dict(zip(*(rows[name].to_pylist() for name in ("id", "reason")), strict=True)).values()
    )


def _pairs(batches: list[tuple[float, int]]) -> tuple[list[Any], list[Any]]:
    """Neighbouring elements in pairs; the last of an odd number stays alone."""
    if len(batches) % 2:
        batches = [*batches, (batches[-1][0], 0)]
    return batches[::2], batches[1::2]


def _slower(clocks: Mapping[str, Clock]) -> float | None:
    """The rate of the slower one, drawing or writing, if both have a rate.

    A scorer that starts late releases what it held in one burst, so that for a while more is
    written than drawn; and until its queue is full, more is drawn than written.
    """
    rates = [clock.rate() for clock in clocks.values()]
    return None if None in rates else min(rate for rate in rates if rate is not None)
