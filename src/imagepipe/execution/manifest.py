"""`run.json`, the record of how a run was started: a resumed run must match it.

Also the arguments that resume a run, or a sweep by its own record.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from imagepipe import __version__, shell
from imagepipe.config import MAY_CHANGE, Config, with_defaults
from imagepipe.errors import UserError
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.sink import sweeps
from imagepipe.tracking import Parent

RECORD = "run.json"


@dataclass(frozen=True)
class Record:
    """How a run was started: `typed` in the folder `cwd`; `tables` are as in
    `sources.fingerprint`.

    `id` is unique, wherever the folder is moved. `place` is the run's folder relative to `cwd`, or
    null if it is not below it. `sweep` is the job's place in its sweep.
    """

    id: str
    version: str
    typed: list[str]
    cwd: str
    config: dict[str, Any]
    tables: list[dict[str, Any]]
    place: str | None = None
    sweep: dict[str, Any] | None = None

    @property
    def sweep_job(self) -> SweepJob | None:
        """The job's place in its sweep, if it is resumed alone."""
        if self.sweep is None:
            return None
        parent = self.sweep["parent"] and Parent(**self.sweep["parent"])
        return SweepJob(**self.sweep | {"parent": parent})


def of(
    config: Config,
    typed: Sequence[str],
    tables: Sequence[dict[str, Any]],
    folder: Path | None = None,
    sweep_job: SweepJob | None = None,
) -> Record:
    """The record of a run that starts now in `folder`, as it would be read from its file."""
    place = place_below(os.getcwd(), folder) if folder else None
    sweep = asdict(replace(sweep_job, folder=None)) if sweep_job else None
    begun = Record(
        *(uuid.uuid4().hex, __version__, list(typed), os.getcwd(), asdict(config), list(tables)),
        *(place, sweep),
    )
    return Record(**json.loads(to_json(begun)))


def place_below(cwd: str, folder: Path) -> str | None:
    """`folder` relative to `cwd`; null if it is not below it."""
    return str(folder.relative_to(cwd)) if folder.is_relative_to(cwd) else None


def home(cwd: str, place: str | None, folder: Path) -> Path:
    """The folder where relative paths of the command start: `cwd`, or its new place if the whole
    of it was moved or copied.
    """
    tail = Path(place).parts if place else ()
    if tail and folder.parts[-len(tail) :] == tail:
        return Path(*folder.parts[: -len(tail)])
    return Path(cwd)


def to_json(record: Record) -> str:
    return json.dumps(asdict(record), indent=1, default=str)


def read(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises UserError if there is none, or another version of imagepipe began the run.
    """
    path = folder / RECORD
    try:
        record = Record(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"holds no run that can be resumed: {RECORD} is not there",
            remedy="Name a run's folder, such as outputs/2026-01-31/12-00-00. A run that was ended "
            "before it had one has drawn nothing: begin it again.",
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"has a {RECORD} that cannot be read ({error})",
            remedy="Begin the run again in another folder.",
        ) from error
    _check_version(folder, record.version)
    return record


def _check_version(folder: Path, version: str) -> None:
    if version != __version__:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"was started with imagepipe {version}, and this is {__version__}",
            remedy=f"Install imagepipe=={version}, or begin the run again.",
        )


def resumed(folder: Path, now: Sequence[str]) -> tuple[Path, list[str]]:
    """The folder where relative paths start, and the arguments that resume the run or sweep in
    `folder`: those that started it, then `now`, which override them by key.

    Raises UserError if there is neither.
    """
    sweep = None if (folder / RECORD).exists() else sweeps.read(folder)
    if sweep is None:
        record, where = read(folder), shell.quoted(str(folder))
        more = [f"resume={where}", f"hydra.run.dir={where}", "hydra.mode=RUN"]
        return home(record.cwd, record.place, folder), _arguments(record.typed, now, more)
    _check_version(folder, sweep.version)
    if sweep.sweeper != sweeps.BASIC:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"is a search by {sweep.sweeper}, which chooses a job by those before it, and "
            "is not resumed as a whole",
            remedy="Resume its jobs by their own folders. Another search begins where this one "
            "ended if both have the same hydra.sweeper.storage=sqlite:///FILE and "
            "hydra.sweeper.study_name=NAME.",
        )
    by_job = any("${" in text for text in sweep.typed if _key(text) == "hydra.sweep.dir")
    there = [] if by_job else [f"hydra.sweep.dir={shell.quoted(str(folder))}"]
    typed = _arguments(sweep.typed, now, [*there, "hydra.mode=MULTIRUN"])
    return home(sweep.cwd, sweep.place, folder), typed


def _arguments(before: Sequence[str], now: Sequence[str], more: Sequence[str]) -> list[str]:
    """The last value of each key counts, and options come first."""
    keys = {_key(text) for text in (*now, *more)}
    every = [*(text for text in before if _key(text) not in keys), *now, *more]
    return sorted(every, key=lambda text: "=" in text and text[0] != "-")


def check(record: Record, now: Record, folder: Path) -> None:
    """Raise UserError if resuming would mix two kinds of pictures, or the rows of two tables.

    A key that did not exist when the run started counts as having had its default.
    """
    for key, was, new in _differences(with_defaults(record.config), now.config):
        raise UserError(
            field=key,
            value=new,
            problem=f"the run in {folder} began with {key}={was}",
            remedy=f"Keep that value. You may change: {', '.join(MAY_CHANGE)}. Or begin a new run.",
        )
    if problem := _other_tables(record.tables, now.tables):
        raise UserError(
            field="resume",
            value=folder,
            problem=problem,
            remedy="Give it the tables as they were, or begin a new run.",
        )


def _other_tables(was: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> str | None:
    """What differs; null if the rows are the same."""
    if len(was) != len(now):
        return f"it began with {len(was)} tables, and is given {len(now)}"
    for old, table in zip(was, now, strict=True):
        what = next((n for n in table if n != "name" and table[n] != old.get(n)), None)
        if what is not None:
            return (
                f"the table {table['name']} is not the one that the run began with: "
                f"{what} was {old.get(what)}, is {table[what]}"
            )
    return None


def _differences(was: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    plain = re.sub(r"^scorer\.[^.]+(?=\.)", "scorer", key)  # of one, by its name
    if f"{plain}.".startswith(tuple(f"{name}." for name in MAY_CHANGE)):
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was | now):
            inner = f"{key}.{name}" if key else name
            yield from _differences(was.get(name), now.get(name), inner)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for one, other in zip(was, now, strict=True):
            yield from _differences(one, other, key)
    elif was != now:
        yield key, was, now


def _key(text: str) -> str:
    return text.lstrip("+~").partition("=")[0]
