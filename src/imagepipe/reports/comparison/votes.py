"""Blind votes: which of two jobs' pictures of one row people prefer.

The page of a comparison asks for them and exports a JSON file, which is read here. Several votes on
the same row and pair of jobs, by several people, count as one, by majority.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagepipe.config import Sweep
from imagepipe.errors import UserError, listed
from imagepipe.reports import means, statistics
from imagepipe.reports.comparison.measures import Entry, Measure
from imagepipe.reports.statistics import Difference, Interval
from imagepipe.store import write_whole

FORMAT = 1
NAME = "votes"  # of the measure
FOLDER = "votes"  # in a comparison's folder: one file a voter
RESAMPLES = 400  # each fits a ranking again
Pair = tuple[str, str]  # labels of two jobs, in the order of the alphabet


@dataclass(frozen=True)
class Vote:
    """Which picture of `row` was `better`: `left`, `right` or neither."""

    row: str
    left: str
    right: str
    better: str  # "left", "right", "neither"

    @property
    def pair(self) -> Pair:
        return (self.left, self.right) if self.left < self.right else (self.right, self.left)

    @property
    def sign(self) -> int:
        """1 if the first of the `pair` was better, -1 if the second was, 0 for neither."""
        sign = {"left": 1, "right": -1, "neither": 0}[self.better]
        return sign if self.pair[0] == self.left else -sign


def read(
    path: Path, name: str, labels: Collection[str], rows: Collection[str]
) -> tuple[str, list[Vote]]:
    """The voter and the votes in a file that the page of the comparison `name` has exported,
    about the jobs `labels` and `rows`.

    Raises UserError for a file of another comparison, and for content that the page does not write.
    """
    voter, given = _whole(path, name)
    found = [_vote(path, number, one, labels) for number, one in enumerate(given, 1)]
    for vote in found:
        if vote.row not in rows:
            raise _refused(path, f"votes on row {vote.row!r}, for which no job here has a picture")
    for (row, pair), times in Counter((one.row, one.pair) for one in found).items():
        if times > 1:
            raise _refused(path, f"votes {times} times on row {row!r} of {' and '.join(pair)}")
    return voter, found


def _whole(path: Path, name: str) -> tuple[str, list[Any]]:
    """The voter and the votes, as they stand in the file."""
    try:
        whole = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(path, f"cannot be read as JSON ({error})") from error
    if not isinstance(whole, dict) or whole.get("imagepipe_votes") != FORMAT:
        raise _refused(path, "contains no votes exported by a comparison's page")
    if whole.get("of") != name:
        raise _refused(path, f"is of another comparison, {whole.get('of')!r}; this is {name!r}")
    voter, given = whole.get("voter"), whole.get("votes")
    if not (isinstance(voter, str) and voter.isalnum() and len(voter) <= 64):
        raise _refused(path, f"has a voter {voter!r}, which is not a name of letters and digits")
    if not (isinstance(given, list) and given):
        raise _refused(path, "has no list of votes")
    return voter, given


def _vote(path: Path, number: int, given: Any, labels: Collection[str]) -> Vote:
    names = ("row", "left", "right", "better")
    if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in names):
        raise _refused(path, f"lacks {', '.join(names)} in vote {number}")
    vote = Vote(*(given[name] for name in names))
    for label in (vote.left, vote.right):
        if label not in labels:
            known = listed(list(labels), label)
            raise _refused(
                path, f"names {label!r} in vote {number}, which is not a job here: {known}"
            )
    if vote.left == vote.right or vote.better not in ("left", "right", "neither"):
        raise _refused(
            path, f"says {vote.better!r} of {vote.left} and {vote.right} in vote {number}"
        )
    return vote


def _refused(path: Path, problem: str) -> UserError:
    return UserError(
        field="FILE",
        value=path,
        problem=problem,
        remedy="Use the file as this comparison's page exported it.",
    )


def keep(folder: Path, path: Path, voter: str) -> None:
    """Copy the votes in `path` into the comparison in `folder`; they replace that voter's
    earlier ones.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    write_whole(folder / FOLDER / f"{voter}.json", path.read_bytes())


def kept(
    folder: Path, name: str, labels: Collection[str], rows: Callable[[], Collection[str]]
) -> tuple[list[Vote], list[str]]:
    """The votes in the comparison's `folder`, and remarks on those that do not belong to it."""
    found, remarks = list[Vote](), list[str]()
    paths = sorted((folder / FOLDER).glob("*.json"))
    known = rows() if paths else ()
    for path in paths:
        try:
            found += read(path, name, labels, known)[1]
        except UserError as error:
            remarks.append(f"votes are left out: {error}")
    return found, remarks


def by_row(votes: Sequence[Vote]) -> dict[Pair, dict[str, int]]:
    """{pair: {row: 1, -1 or 0}}: the majority of those who voted on that row."""
    sums: dict[Pair, Counter[str]] = {}
    for vote in votes:
        sums.setdefault(vote.pair, Counter())[vote.row] += vote.sign
    return {pair: {row: int(np.sign(n)) for row, n in rows.items()} for pair, rows in sums.items()}


def voted(found: Sequence[Entry], votes: Sequence[Vote], aim: Sweep) -> tuple[Measure, list[str]]:
    """The entries by `votes`: the share of the others' pictures that one's are preferred to, as
    Bradley and Terry estimate it; differences by the exact sign test of the rows of two jobs.
    """
    there = {entry.label for entry in found}
    signs = {pair: rows for pair, rows in by_row(votes).items() if there.issuperset(pair)}
    labels = {label for pair in signs for label in pair}
    having = [entry for entry in found if entry.label in labels]
    strengths = bradley_terry(signs, [entry.label for entry in having], aim.level) if having else {}

    def differ(one: Entry, other: Entry) -> Difference:
        flipped = one.label > other.label
        pair = (other.label, one.label) if flipped else (one.label, other.label)
        each = np.array([*signs.get(pair, {}).values()], int)
        return sign_test(-each if flipped else each, aim.level)

    def more(apart: Difference) -> str:
        rows = statistics.needed(apart.interval.value, apart.spread, aim.level)
        return f"about {rows} votes would decide" if rows else "treat them as equally good"

    measure = Measure(
        name=NAME,
        all=found,
        entries=having,
        values=strengths,
        differ=differ,
        words=("Preferred is", "by votes"),
        said=lambda value: f"expected to win {percent(value)}",
        apart=lambda apart, other: (
            f"preferred to {other} in {percent(apart.interval, 0.5)} of {apart.count} rows"
        ),
        compared=lambda apart: f"preferred in {percent(apart.interval, 0.5)} of {apart.count} rows",
        more=more,
    )
    return measure, []


def sign_test(signs: NDArray[np.int64], level: float) -> Difference:
    """How often the first of two is preferred, less a half, where one is: Wilson's interval, and
    the exact two-sided p of the binomial.
    """
    from scipy import stats

    first, decided = int((signs > 0).sum()), int((signs != 0).sum())
    wins = float(np.mean(signs / 2 + 0.5)) if len(signs) else None
    if not decided:
        return Difference(Interval(0.0, -0.5, 0.5), 1.0, 0.5, len(signs), wins)
    share = means.wilson(first, decided, level)
    interval = Interval(share.value - 0.5, share.low - 0.5, share.high - 0.5)
    p = float(stats.binomtest(first, decided).pvalue)
    return Difference(interval, p, 0.5, decided, wins)


def bradley_terry(
    signs: Mapping[Pair, Mapping[str, int]],
    labels: Sequence[str],
    level: float,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """{label: the share of wins to be expected against one of the others}, with an interval of the
    bootstrap over rows.

    Each two jobs begin with one vote for neither, so that there is an estimate where one of them
    has won them all: as Agresti and Coull (1998) add to a share.
    """
    from evalica import bradley_terry_naive as fitted  # type: ignore[attr-defined]

    place = {label: number for number, label in enumerate(labels)}
    rows = {
        row: number for number, row in enumerate({row for each in signs.values() for row in each})
    }
    wins = np.zeros((len(rows), len(labels), len(labels)))
    for (one, other), each in signs.items():
        for row, sign in each.items():
            wins[rows[row], place[one], place[other]] = (1 + sign) / 2
            wins[rows[row], place[other], place[one]] = (1 - sign) / 2
    prior = (1 - np.eye(len(labels))) / 2

    def shares(times: NDArray[np.int64]) -> NDArray[np.float64]:
        strengths, _ = fitted(np.tensordot(times, wins, axes=1) + prior)
        beats = strengths[:, None] / (strengths[:, None] + strengths[None, :])
        return (beats.sum(axis=1) - 0.5) / (len(labels) - 1)

    rng = np.random.default_rng(statistics.SEED)
    drawn = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    each_time = np.array([shares(times) for times in drawn])
    limits = np.quantile(each_time, [(1 - level) / 2, (1 + level) / 2], axis=0)
    values = shares(np.ones(len(rows), int))
    return {
        label: Interval(float(values[number]), *(float(limit[number]) for limit in limits))
        for label, number in place.items()
    }


def agreement(
    votes: Sequence[Vote], scores: Mapping[str, Mapping[str, float]], level: float
) -> tuple[Interval, int] | None:
    """In which share of the rows on which people preferred one, the scores, {label: {row: score}},
    are higher for it too, and of how many rows; null if there is none.
    """
    agreed = [
        (scores[one][row] - scores[other][row]) * sign > 0
        for (one, other), rows in by_row(votes).items()
        for row, sign in rows.items()
        if sign and row in scores.get(one, {}) and row in scores.get(other, {})
    ]
    if not agreed:
        return None
    return means.wilson(sum(agreed), len(agreed), level), len(agreed)


def won(votes: Sequence[Vote], label: str, level: float) -> tuple[Interval, int]:
    """The share of rows of which the job's picture was preferred, where one was, and how many."""
    signs = [
        sign if pair[0] == label else -sign
        for pair, rows in by_row(votes).items()
        if label in pair
        for sign in rows.values()
        if sign
    ]
    if not signs:
        return Interval(math.nan, 0.0, 1.0), 0
    return means.wilson(sum(sign > 0 for sign in signs), len(signs), level), len(signs)


def percent(found: Interval, more: float = 0.0) -> str:
    """A share, less `more`, and its interval."""
    value, low, high = (100 * (part + more) for part in (found.value, found.low, found.high))
    return f"{value:z.0f} % ({low:z.0f} to {high:z.0f})"
