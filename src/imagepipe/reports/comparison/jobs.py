"""The jobs of a sweep side by side, and the conclusions from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep
from imagepipe.reports import distances
from imagepipe.reports.comparison.job import Job, deciding, score_columns
from imagepipe.reports.comparison.measures import PER_DOLLAR, Entry, Measure, entries, timed
from imagepipe.reports.comparison.verdict import (
    Verdict,
    decisive,
    front_said,
    judge,
    measured,
    on_the_front,
)
from imagepipe.reports.comparison.votes import Vote, agreement, voted
from imagepipe.reports.statistics import Interval
from imagepipe.sink import sweeps

# Below the rate that is asked for any score is worse than every score, and the worse the further
# below. Finite, so that Optuna's samplers can tell which way is up.
TOO_SLOW = -1e9


@dataclass(frozen=True)
class Comparison:
    """The jobs of a sweep in the order in which they ran, or any runs; `remarks` are shown
    beside the verdict, `votes` are people's preferences.
    """

    jobs: Sequence[Job]
    aim: Sweep
    remarks: Sequence[str] = ()
    votes: Sequence[Vote] = ()
    differences: Sequence[Mapping[str, Any]] = ()  # of runs that are no sweep's
    by: str | None = None  # what their rows are known by
    sweeper: str | None = sweeps.BASIC  # that chose the jobs; null: they are single runs

    @property
    def name(self) -> str:
        """The same for all jobs of a sweep, and of no other."""
        named = (job.summary["sweep"].get("name") for job in self.jobs)
        return next(filter(None, named), "")

    @property
    def labels(self) -> list[str]:
        """Of all jobs, each once."""
        return list(dict.fromkeys(job.label for job in self.jobs))

    @property
    def keys(self) -> set[str]:
        """Of all rows of which some job has a picture."""
        return {key for job in self.jobs for key in job.keys}

    @property
    def finished(self) -> list[Job]:
        return [job for job in self.jobs if job.status == "FINISHED"]

    @cached_property
    def entries(self) -> list[Entry]:
        """The finished jobs, repeats taken together."""
        return entries(self.jobs)

    @property
    def kind(self) -> str:
        """The rate that compares fairly: steady, if every finished job has it. End to end the
        first job also pays for what starts only once per session.
        """
        steady = [job.rate("steady") for job in self.finished]
        return "steady" if steady and all(steady) else "end_to_end"

    @property
    def swept(self) -> list[str]:
        """The keys that the sweep varies."""
        return list(dict.fromkeys(key for job in self.jobs for key in job.swept))

    @property
    def scores(self) -> list[str]:
        """The scores of finished jobs, the deciding one first."""
        columns = {n: c for job in self.finished for n, c in job.score_columns.items()}
        names = [name for name in columns if any(name in job.scores for job in self.finished)]
        return sorted(names, key=lambda name: name != deciding(self.aim, columns))

    def rate(self, job: Job) -> float | None:
        """Pictures per second of the `kind` that compares fairly."""
        return job.rate(self.kind)

    @cached_property
    def measures(self) -> list[tuple[Measure, list[str]]]:
        """The measures by which the jobs are compared, each with remarks: the sweep's objective
        first, then the others, then votes.
        """
        names = dict.fromkeys([decisive(self.entries, self.aim), None, *self.scores])
        found = [measured(self.entries, self.aim, name, self.sweeper) for name in names]
        if self.aim.objective == PER_DOLLAR:
            rate = replace(self.aim, objective="images_per_s")
            found.insert(1, timed(self.entries, rate, self.sweeper))
        return [*found, *([voted(self.entries, self.votes, self.aim)] if self.votes else [])]

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdict by each of the `measures`."""
        return [judge(measure, remarks, self.aim) for measure, remarks in self.measures]

    @property
    def verdict(self) -> Verdict:
        """The verdict by the sweep's objective."""
        return self.verdicts[0]

    def row_scores(self, name: str) -> dict[str, dict[str, float]]:
        """{label: {row: score}} of the entries."""
        return {entry.label: entry.runs[0].row_scores(name) for entry in self.entries}

    @cached_property
    def agreement(self) -> dict[str, tuple[Interval, int]]:
        """For each score the share of rows on which it agrees with the votes, and the number of
        rows.
        """
        found = {
            name: agreement(self.votes, self.row_scores(name), self.aim.level)
            for name in self.scores
        }
        return {name: one for name, one in found.items() if one}

    @cached_property
    def fronts(self) -> dict[str, dict[str, str]]:
        """{score: {label: `surely`, `perhaps` or `not`}}: who is on the Pareto front of the
        score and the rate.
        """
        by_name = {measure.name: measure for measure, _ in self.measures}
        rate = by_name["images_per_s"]
        level = self.aim.level
        return {name: on_the_front(rate, by_name[name], level) for name in self.scores}

    def headline(self) -> str:
        """The number of jobs, the best one if the data can tell, or what would decide."""
        remarks = [f"({remark})" for remark in self.said_beside]
        return " ".join(filter(None, [self.counts(), self.verdict.sentence, *remarks]))

    @property
    def said_beside(self) -> list[str]:
        """The remarks; and for a search its own best job, by its figure alone."""
        told = [*self.verdict.remarks, *self.remarks]
        figures = {job.label: objective(self.aim, job.summary) for job in self.finished}
        known = {label: value for label, value in figures.items() if value is not None}
        if self.sweeper in (sweeps.BASIC, None) or len(known) < 2:
            return told
        best = max(known, key=lambda label: known[label])
        sure = self.verdict.named is not None and self.verdict.named.label == best
        return [*told, f"{self.sweeper}'s best is {best}{'' if sure else ', without a test'}"]

    def counts(self) -> str:
        """How many jobs there are, and how they ended."""
        pending = sum(job.status == "PENDING" for job in self.jobs)
        failed = len(self.jobs) - len(self.finished) - pending
        counts = f"{len(self.finished)} of {len(self.jobs)} jobs finished"
        counts += f", {failed} did not" if failed else ""
        counts += f", {pending} have not run yet" if pending else ""
        return f"{counts}."

    def besides(self) -> list[str]:
        """The other conclusions: by the other measures, and the Pareto fronts."""
        others = [verdict.sentence for verdict in self.verdicts[1:]]
        fronts = [front_said(name, found) for name, found in self.fronts.items()]
        far = [job.summary["distance"] for job in self.finished if job.summary.get("distance")]
        every = (*others, *fronts, distances.uneven(far))
        return [said for said in every if said and not said.startswith("Nothing")]

    def numbers(self) -> dict[str, float]:
        """The sweep's own metrics; those of a best job only if one is named."""
        numbers: dict[str, float] = {"jobs": len(self.jobs), "jobs_finished": len(self.finished)}
        best = self.verdict.named
        values = {s.entry.label: s.value.value for s in self.verdict.standings}
        if best and best.label in values:
            numbers[f"best_{self.verdict.measure}"] = values[best.label]
        return numbers

    def note(self) -> str:
        """The headline, what else can be said, and a line for each job that did not finish."""
        lines = [f"{job.label}: {job.status}, {job.trouble}" for job in self.jobs if job.trouble]
        return "\n".join([self.headline(), *self.besides(), *lines])


def collect(folder: Path, aim: Sweep) -> Comparison:
    """The jobs in the sweep's record in `folder`; those that have not ended are PENDING.

    Without a record: the jobs that left a summary below the folder.
    """
    record = sweeps.read(folder)
    if record is None:
        summaries = ((path.parent, _summary(path.parent)) for path in folder.rglob("summary.json"))
        found = [Job(place, said) for place, said in summaries if said and said.get("sweep")]
    else:
        found = [_recorded(folder, record, job) for job in record.jobs]
    sweeper = record.sweeper if record else sweeps.BASIC
    return Comparison(sorted(found, key=lambda job: job.number), aim, sweeper=sweeper)


def _recorded(folder: Path, record: sweeps.Record, job: sweeps.PlannedJob) -> Job:
    place = folder / job.folder if job.folder else folder
    swept = record.values(job.overrides)
    said = _summary(place) if job.folder else None
    pending: dict[str, Any] = {"status": "PENDING", "trouble": None, "images_per_s": {}}
    known = said or pending
    entry = {"job": job.number, "swept": swept, "label": sweeps.label(swept)}
    return Job(place, {**known, "sweep": {**(known.get("sweep") or {}), **entry}})


def _summary(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return found


def objective(aim: Sweep, summary: Mapping[str, Any], kind: str | None = None) -> float | None:
    """The value that a sweep maximises, from a run's summary; null if the run has none. `kind`
    of rate null: steady, else end to end.
    """
    rates = summary["images_per_s"]
    rate = rates.get(kind) if kind else rates.get("steady") or rates.get("end_to_end")
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
