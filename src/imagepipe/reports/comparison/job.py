"""One job of a sweep, by what it left in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep
from imagepipe.sink import results
from imagepipe.sink.results import Picture
from imagepipe.store import Store


@dataclass(frozen=True)
class Job:
    """One job, by the `summary.json` that it left."""

    folder: Path
    summary: Mapping[str, Any]

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
        """What else the machine did while the job drew, where that was much."""
        return (self.summary.get("machine") or {}).get("busy") or ""

    @property
    def scores(self) -> dict[str, float]:
        """The mean of each score over the job's pictures."""
        found = self.summary.get("scores") or {}
        return {name: score["mean"] for name, score in found.items() if score["mean"] is not None}

    @property
    def score_columns(self) -> dict[str, str]:
        """The columns of the job's scores, by their names; `score` where it does not say."""
        return score_columns(self.summary)

    @property
    def utilisation(self) -> dict[str, float]:
        """The share of its processes' time that each stage spent at work, where known."""
        found = self.summary.get("stages") or {}
        known = {name: stage["utilisation"] for name, stage in found.items()}
        return {name: share for name, share in known.items() if share is not None}

    def rate(self, kind: str) -> float | None:
        """Pictures per second, `kind` being `steady` or `end_to_end`."""
        return (self.summary.get("images_per_s") or {}).get(kind)

    def pictures(self) -> list[Picture]:
        """The first picture of each of the run's first rows, as far as they were drawn."""
        samples = self.summary.get("samples")
        store = Store.of(self.summary.get("store"), self.folder)
        return results.of_rows(store, samples["id"], samples["ids"]) if samples else []

    def row_scores(self, name: str) -> dict[str, float]:
        """{row's id: its score by `name`}, the mean where a row has several pictures; without those
        that have none."""
        samples = self.summary.get("samples")
        if not samples or name not in self.scores:
            return {}
        store = Store.of(self.summary.get("store"), self.folder)
        return results.row_scores(store, samples["id"], self.score_columns[name])


def score_columns(summary: Mapping[str, Any]) -> dict[str, str]:
    """Of a run's summary: the columns of its scores by their names, the first one first."""
    found: dict[str, str] = summary.get("score_columns") or {}
    return found or dict.fromkeys(summary.get("scores") or {}, "score")


def deciding(aim: Sweep, columns: Mapping[str, str]) -> str | None:
    """The score that `aim` names, or its column; the first of `columns`, where it names none."""
    if aim.score is None:
        return next(iter(columns), None)
    names = {column: name for name, column in columns.items()}
    return aim.score if aim.score in columns else names.get(aim.score, aim.score)
