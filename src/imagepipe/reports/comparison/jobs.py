"""The jobs of a sweep side by side, and what they let one conclude."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep
from imagepipe.reports.comparison.job import Job, deciding, score_columns
from imagepipe.reports.comparison.verdict import Verdict, conclude
from imagepipe.sink import sweeps

# Below the rate that is asked for any score is worse than every score, and the worse the further
# below. Finite, so that Optuna's samplers can tell which way is up.
TOO_SLOW = -1e9


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

    @cached_property
    def verdict(self) -> Verdict:
        """What the jobs let one conclude."""
        return conclude(self.jobs, self.aim)

    def headline(self) -> str:
        """How many jobs, which is best if that can be said, and what would tell if not."""
        pending = sum(job.status == "PENDING" for job in self.jobs)
        failed = len(self.jobs) - len(self.finished) - pending
        counts = f"{len(self.finished)} of {len(self.jobs)} jobs finished"
        counts += f", {failed} did not" if failed else ""
        counts += f", {pending} yet to run" if pending else ""
        remarks = [f"({remark})" for remark in self.verdict.remarks]
        return " ".join(filter(None, [f"{counts}.", self.verdict.sentence, *remarks]))

    def numbers(self) -> dict[str, float]:
        """The sweep's own metrics; of a best only where one is named."""
        numbers: dict[str, float] = {"jobs": len(self.jobs), "jobs_finished": len(self.finished)}
        best = self.verdict.named
        values = {s.entry.label: s.value.value for s in self.verdict.standings}
        if best and best.label in values:
            numbers[f"best_{self.verdict.measure}"] = values[best.label]
        return numbers

    def note(self) -> str:
        """The headline, and a line for each job that did not finish."""
        lines = [f"{job.label}: {job.status}, {job.trouble}" for job in self.jobs if job.trouble]
        return "\n".join([self.headline(), *lines])


def collect(folder: Path, aim: Sweep) -> Comparison:
    """The jobs that the sweep's record in `folder` has, those that have yet to end as PENDING.

    Of a sweep without a record: those that left a summary below it.
    """
    record = sweeps.read(folder)
    if record is None:
        summaries = ((path.parent, _summary(path.parent)) for path in folder.rglob("summary.json"))
        found = [Job(place, said) for place, said in summaries if said and said.get("sweep")]
    else:
        found = [_recorded(folder, record, job) for job in record.jobs]
    return Comparison(sorted(found, key=lambda job: job.number), aim)


def _recorded(folder: Path, record: sweeps.Record, job: sweeps.PlannedJob) -> Job:
    place = folder / job.folder if job.folder else folder
    swept = record.values(job.overrides)
    entry = {"job": job.number, "swept": swept, "label": sweeps.label(swept)}
    said = _summary(place) if job.folder else None
    pending: dict[str, Any] = {"status": "PENDING", "trouble": None, "images_per_s": {}}
    return Job(place, {**(said or pending), "sweep": entry})


def _summary(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return found


def objective(aim: Sweep, summary: Mapping[str, Any], kind: str | None = None) -> float | None:
    """What a sweep maximises, of a run's summary; null where the run has no such figure.

    `kind` of rate null: the steady one, else end to end.
    """
    rates = summary["images_per_s"]
    rate = rates[kind] if kind else rates["steady"] or rates["end_to_end"]
    if aim.objective == "images_per_s":
        return rate
    if aim.objective == "pictures_per_dollar":
        return (summary.get("cost") or {}).get("pictures_per_dollar")
    scores = summary.get("scores") or {}
    name = deciding(aim, score_columns(summary))
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
