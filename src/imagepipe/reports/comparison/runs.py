"""Any finished runs side by side, also from different days and machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep, json_digest
from imagepipe.errors import UserError
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison, collect
from imagepipe.sink import rows, sweeps

BEGUN = "run.json"
NO_DIFFERENCE = ("tracking", "sweep", "outputs", "resume", "retry_failed", "verbose")  # in results
MOST_IN_A_LABEL = 3  # keys
NOTHING = "–"
MACHINE = "machine: "  # before what differs of it


@dataclass(frozen=True)
class Run:
    """A run: its summary, and the record that started it."""

    folder: Path
    summary: Mapping[str, Any]
    begun: Mapping[str, Any]


def compared(folders: Sequence[Path], aim: Sweep, by: str | None = None) -> Comparison:
    """The runs in `folders`, a sweep's folder standing for its finished jobs.

    Their rows are known by the column `by`; null: by their ids where the runs read the same tables
    or their ids mean the same prompts, else by their base prompts. Raises UserError for a folder
    that is no run, for one named twice, and for fewer than two.
    """
    runs = [_read(place) for folder in folders for place in _places(folder)]
    for number, run in enumerate(runs):
        if any(run.folder.samefile(other.folder) for other in runs[:number]):
            raise _refused(run.folder, "is named twice", "Name each run once.")
    if not runs:
        place = next(iter(folders), Path())
        raise _refused(place, "contains no finished run", "Name runs that have finished.")
    if len(runs) < 2:
        raise _refused(runs[0].folder, "is a single run", "Name another one to compare it with.")
    apart = _differences(runs)
    labels = _labels(runs, apart)
    name = f"compare-{json_digest([_id(run) for run in runs], 4)}"
    jobs = []
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
        swept = _swept(apart, number)
        entry = {"name": name, "job": number, "swept": swept, "label": label}
        jobs.append(Job(run.folder, {**run.summary, "sweep": entry}))
    by = by or _by(runs, jobs)
    jobs = [replace(job, by=None if by == "id" else by) for job in jobs]
    common = set.intersection(*(set(job.keys) for job in jobs))
    remarks = [] if common else [f"no row is in all runs: they are known by {by}"]
    if any(one["key"].startswith(MACHINE) for one in apart):
        remarks.append("the machines differ, so a difference in speed may be theirs")
    return Comparison(jobs, aim, remarks=remarks, sweeper=None, differences=apart, by=by)


def _places(folder: Path) -> list[Path]:
    record = None if (folder / BEGUN).exists() else sweeps.read(folder)
    if record is None:
        return [folder]
    return [job.folder for job in collect(folder, Sweep()).finished]


def _read(folder: Path) -> Run:
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        status = summary["status"]
        begun = json.loads((folder / BEGUN).read_text("utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _refused(
            folder,
            f"is not a run that has ended ({error})",
            "Name the folder of one, such as outputs/2026-01-31/12-00-00.",
        ) from error
    if status != "FINISHED":
        raise _refused(folder, f"has not finished: {status}", "Resume it, or leave it out.")
    return Run(folder, summary, begun)


def _refused(folder: Path, problem: str, remedy: str) -> UserError:
    return UserError(field="RUN", value=folder, problem=problem, remedy=remedy)


def _id(run: Run) -> str:
    return str(run.begun.get("id") or run.folder)


def _differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What differs between the runs: configuration, input tables, versions, machine."""
    found = []
    for kind, said in (
        ("", [_flat(run.begun.get("config") or {}) for run in runs]),
        ("input tables", [{"": json_digest(run.begun.get("tables"), 4)} for run in runs]),
        ("version of ", [run.summary.get("versions") or {} for run in runs]),
        (MACHINE, [_machine(run) for run in runs]),
    ):
        for key in dict.fromkeys(key for one in said for key in one):
            values = [one.get(key, NOTHING) for one in said]
            if any(value != values[0] for value in values):
                found.append({"key": f"{kind}{key}", "values": values, "is_config": not kind})
    return found


def _flat(config: Any, key: str = "") -> dict[str, Any]:
    return {
        name: value
        for name, value in _leaves(config, key)
        if name.partition(".")[0] not in NO_DIFFERENCE
    }


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value


def _machine(run: Run) -> dict[str, Any]:
    seen = run.summary.get("machine") or {}
    return {name: seen[name] for name in ("nodes", "cpu", "gpus") if name in seen}


def _swept(apart: Sequence[Mapping[str, Any]], number: int) -> dict[str, str]:
    """The run's values of the keys that differ, if they are few."""
    own = {one["key"]: str(one["values"][number]) for one in apart if one["is_config"]}
    return own if len(own) <= MOST_IN_A_LABEL else {}


def _labels(runs: Sequence[Run], apart: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels that tell the runs apart: their differing settings, or else their folders."""
    labels = [sweeps.label(swept) if (swept := _swept(apart, n)) else "" for n in range(len(runs))]
    if "" not in labels and len(set(labels)) == len(labels):
        return labels
    every = [run.folder.absolute().parts for run in runs]
    longest = max(map(len, every))
    depth = next(n for n in range(2, longest + 1) if len({one[-n:] for one in every}) == len(runs))
    places = ["/".join(parts[-depth:]) for parts in every]
    return [
        f"{label} in {place}" if label else place
        for label, place in zip(labels, places, strict=True)
    ]


def _by(runs: Sequence[Run], jobs: Sequence[Job]) -> str:
    if all(run.begun.get("tables") == runs[0].begun.get("tables") for run in runs):
        return "id"
    prompts = [rows.values(job.store, job.key, "base_prompt") if job.key else {} for job in jobs]
    common = set.intersection(*map(set, prompts))
    same = all(each[name] == prompts[0][name] for each in prompts for name in common)
    return "id" if common and same else "base_prompt"
