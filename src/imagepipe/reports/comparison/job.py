"""A job of a sweep, or a run that is compared, read from its folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep
from imagepipe.reports.means import UNLIMITED, Limits
from imagepipe.reports.scores import limits
from imagepipe.sink import rows
from imagepipe.sink.rows import Row
from imagepipe.store import Store

LEAST_LEFT = 0.01  # of the CPUs: others cannot take all of them from a job that has ended


@dataclass(frozen=True)
class Job:
    """One job, from its `summary.json`. Rows are matched by the column `by`; null: by id."""

    folder: Path
    summary: Mapping[str, Any]
    by: str | None = None

    @property
    def number(self) -> int:
        return self.summary["sweep"]["job"]

    @property
    def swept(self) -> dict[str, str]:
        """This job's values of the keys that the sweep varies."""
        return self.summary["sweep"]["swept"]

    @property
    def label(self) -> str:
        return self.summary["sweep"]["label"]

    @property
    def status(self) -> str:
        """FINISHED, FAILED, KILLED or PENDING."""
        return self.summary["status"]

    @property
    def trouble(self) -> str:
        return self.summary["trouble"] or ""

    @property
    def busy(self) -> str:
        """Other load on the machine during the job, if it was high."""
        return (self.summary.get("machine") or {}).get("busy") or ""

    @property
    def cpus_left(self) -> float | None:
        """The share of the machine's CPUs that other programs left; null if it does not say."""
        others = (self.summary.get("machine") or {}).get("others") or {}
        used, of_cpus = others.get("cpus"), others.get("of_cpus")
        return max(LEAST_LEFT, 1 - used / of_cpus) if used is not None and of_cpus else None

    @property
    def reused(self) -> dict[str, int]:
        """For how many rows it reused earlier work, by stage."""
        found = self.summary.get("reused") or {}
        return {stage: rows for stage, rows in found.items() if rows}

    @property
    def scores(self) -> dict[str, Mapping[str, float]]:
        """The figures of each score over the job's pictures: mean, std, count."""
        found = self.summary.get("scores") or {}
        return {name: score for name, score in found.items() if score["mean"] is not None}

    @property
    def score_columns(self) -> dict[str, str]:
        """The columns of the job's scores, by their names; `score` where it does not say."""
        return score_columns(self.summary)

    @property
    def utilisation(self) -> dict[str, float]:
        """The share of time that each stage's processes were busy, if known."""
        found = self.summary.get("stages") or {}
        known = {name: stage["utilisation"] for name, stage in found.items()}
        return {name: share for name, share in known.items() if share is not None}

    def rate(self, kind: str) -> float | None:
        """Pictures per second; `kind` is `steady` or `end_to_end`."""
        return (self.summary.get("images_per_s") or {}).get(kind)

    @property
    def store(self) -> Store:
        """Where its pictures and its table are."""
        return Store.of(self.summary.get("store"), self.folder)

    @property
    def _samples(self) -> Mapping[str, Any]:
        """What the summary says of its table; empty if it never started to draw."""
        return self.summary.get("samples") or {}

    @property
    def key(self) -> str | None:
        """The column by which its rows are matched; null if it has none."""
        return (self._samples and (self.by or self._samples["id"])) or None

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the rows that have a picture, in the table's order."""
        return list(rows.values(self.store, self.key, self.key)) if self.key else []

    @cached_property
    def categories(self) -> dict[str, str]:
        """{row's key: its category}, if the data set has such a column."""
        column = self._samples.get("category")
        if not (self.key and column):
            return {}
        found = rows.values(self.store, self.key, column)
        return {name: "none" if value is None else str(value) for name, value in found.items()}

    def row_scores(self, name: str) -> dict[str, float]:
        """{row's key: its score by `name`}, the mean of a row's pictures; rows without a score
        are left out.
        """
        if not self.key or name not in self.scores:
            return {}
        return rows.scores(self.store, self.key, self.score_columns[name])

    def limits(self, name: str) -> Limits:
        """The limits of its scores by `name`."""
        return limits(self.summary).get(name, UNLIMITED)

    def shown(self, wanted: Collection[str]) -> dict[str, Row]:
        """The rows `wanted`, by key, that have a picture."""
        if not self.key:
            return {}
        return rows.chosen(self.store, self.key, wanted, self.score_columns)

    def pictures(self, wanted: Sequence[Row]) -> Iterator[tuple[Row, bytes]]:
        """The encoded pictures of those rows that still have one."""
        return rows.pictures(self.store, wanted)


def score_columns(summary: Mapping[str, Any]) -> dict[str, str]:
    """Of a run's summary: the columns of its scores by their names, the first one first."""
    found: dict[str, str] = summary.get("score_columns") or {}
    return found or dict.fromkeys(summary.get("scores") or {}, "score")


def deciding(aim: Sweep, columns: Mapping[str, str]) -> str | None:
    """The score that `aim` names (or its column); the first of `columns` if it names none."""
    if aim.score is None:
        return next(iter(columns), None)
    names = {column: name for name, column in columns.items()}
    return aim.score if aim.score in columns else names.get(aim.score, aim.score)
