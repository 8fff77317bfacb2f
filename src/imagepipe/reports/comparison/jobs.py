"""Reads the jobs of a sweep from their folders, and says which was best."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep
from imagepipe.sink import results
from imagepipe.sink.results import Picture
from imagepipe.store import Store

# Below the rate that is asked for any score is worse than every score, and the worse the further
# below. Finite, so that Optuna's samplers can tell which way is up.
TOO_SLOW = -1e9
UNSTEADY = (
    "Some jobs drew too few pictures for a steady rate, so the rates are end to end; the first "
    "job pays for what starts only once."
)


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
        """FINISHED, FAILED or KILLED."""
        return self.summary["status"]

    @property
    def trouble(self) -> str:
        return self.summary["trouble"] or ""

    @property
    def scores(self) -> dict[str, float]:
        """The mean of each score over the job's pictures."""
        found = self.summary.get("scores") or {}
        return {name: score["mean"] for name, score in found.items() if score["mean"] is not None}

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


@dataclass(frozen=True)
class Comparison:
    """The jobs of a sweep in the order in which they ran."""

    jobs: Sequence[Job]
    aim: Sweep

    @property
    def finished(self) -> list[Job]:
        return [job for job in self.jobs if job.status == "FINISHED"]

    @property
    def kind(self) -> str:
        """The rate that compares fairly: the steady one, where every finished job has it.

        End to end the first job also pays for what starts only once in a session.
        """
        steady = [job.rate("steady") for job in self.finished]
        return "steady" if steady and all(steady) else "end_to_end"

    @property
    def swept(self) -> list[str]:
        """The keys that the sweep varies."""
        return list(dict.fromkeys(key for job in self.jobs for key in job.swept))

    @property
    def scores(self) -> list[str]:
        return list(dict.fromkeys(name for job in self.finished for name in job.scores))

    def rate(self, job: Job) -> float | None:
        """Pictures per second of the `kind` that compares fairly."""
        return job.rate(self.kind)

    @property
    def ranked(self) -> list[Job]:
        """The finished jobs that have an objective, the best first."""
        values = {job.number: objective(self.aim, job.summary, self.kind) for job in self.finished}
        known = [job for job in self.finished if values[job.number] is not None]
        return sorted(known, key=lambda job: -(values[job.number] or 0.0))

    def headline(self) -> str:
        """One sentence: how many jobs, which was best, and by how much."""
        failed = len(self.jobs) - len(self.finished)
        counts = f"{len(self.finished)} of {len(self.jobs)} jobs finished"
        counts += f", {failed} did not" if failed else ""
        ranked = self.ranked
        if len(ranked) < 2:
            return f"{counts}."
        best, worst = ranked[0], ranked[-1]
        best_of_all = f"Best is {self._said(best)}{self._times()}"
        said = f"{counts}. {best_of_all}; {self._place} is {self._said(worst)}."
        return said if self.kind == "steady" else f"{said} {UNSTEADY}"

    def _said(self, job: Job) -> str:
        rate = self.rate(job) or 0.0
        score = objective(Sweep("score", self.aim.score), job.summary, self.kind)
        scored = f", score {score:.3g}" if self.aim.objective == "score" and score else ""
        return f"{job.label} ({rate:.2f} pictures/s{scored})"

    def _times(self) -> str:
        best, worst = (self.rate(self.ranked[place]) or 0.0 for place in (0, -1))
        if self.aim.objective != "images_per_s" or worst <= 0:
            return ""
        return f", {best / worst:.2f} times as fast as the slowest"

    @property
    def _place(self) -> str:
        """What the job is that is ranked last."""
        return "slowest" if self.aim.objective == "images_per_s" else "last"

    def numbers(self) -> dict[str, float]:
        """The sweep's own metrics."""
        numbers = {"jobs": len(self.jobs), "jobs_finished": len(self.finished)}
        best = self.ranked[0] if self.ranked else None
        rate = self.rate(best) if best else None
        return numbers | ({} if rate is None else {"best_images_per_s": rate})

    def note(self) -> str:
        """The headline, and a line for each job that did not finish."""
        lines = [f"{job.label}: {job.status}, {job.trouble}" for job in self.jobs if job.trouble]
        return "\n".join([self.headline(), *lines])


def collect(folder: Path, aim: Sweep) -> Comparison:
    """The jobs whose folders are below `folder`; those that never started left nothing."""
    found = []
    for path in folder.rglob("summary.json"):
        summary = json.loads(path.read_text("utf-8"))
        if summary.get("sweep"):
            found.append(Job(path.parent, summary))
    return Comparison(sorted(found, key=lambda job: job.number), aim)


def objective(aim: Sweep, summary: Mapping[str, Any], kind: str | None = None) -> float | None:
    """What a sweep maximises, of a run's summary; null where the run has no such figure.

    `kind` of rate null: the steady one, else end to end.
    """
    rates = summary["images_per_s"]
    rate = rates[kind] if kind else rates["steady"] or rates["end_to_end"]
    if aim.objective == "images_per_s":
        return rate
    scores = summary.get("scores") or {}
    name = aim.score or next(iter(scores), None)
    score = scores[name]["mean"] if name in scores else None
    least = aim.at_least_images_per_s
    if score is None or least is None or (rate or 0.0) >= least:
        return score
    return TOO_SLOW * (2 - (rate or 0.0) / least)


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points that no other beats in both coordinates, by the first coordinate.

    The Pareto front of two figures that are both to be large. Of equal points all belong to it.
    """
    best = -math.inf
    kept: list[int] = []
    order = sorted(range(len(points)), key=lambda place: (-points[place][0], -points[place][1]))
    for place in order:
        same = bool(kept) and points[place] == points[kept[-1]]
        if points[place][1] > best or same:
            best = points[place][1]
            kept.append(place)
    return kept[::-1]
