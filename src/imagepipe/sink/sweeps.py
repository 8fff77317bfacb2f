"""`sweep.json` in a sweep's folder: its jobs, also those that have not started.

Reports and resume rely on it, not on what else is in the folder.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from imagepipe import __version__, shell
from imagepipe.errors import UserError
from imagepipe.sink.lock import check_locks
from imagepipe.store import write_whole

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

RECORD, LOCK = "sweep.json", ".sweep.lock"
BASIC = "basic"  # Hydra's sweeper that runs each combination; others search
MOST_JOBS = 10_000  # of a sweep, which lists them all
REPEAT = "sweep.repeat"  # the key that tells a job's repeats apart, and no job from another
# Left by the sweeps of before, which kept no record, and by their jobs.
EARLIER = ("multirun.yaml", "*/run.json", "*/summary.json")


@dataclass(frozen=True)
class PlannedJob:
    """A job by its `overrides`. `folder` is relative to the sweep's; null: it has not started."""

    number: int
    overrides: list[str]
    folder: str | None = None


@dataclass(frozen=True)
class Record:
    """How a sweep was started: `typed` in the folder `cwd`; it varies the keys `swept`.

    `place` is its folder relative to `cwd`, or null if it is not below it. `sweeper` is the choice
    of that config group: `basic` knows all jobs in advance, others choose one after another.
    """

    typed: list[str]
    swept: list[str]
    sweeper: str
    place: str | None
    cwd: str = field(default_factory=os.getcwd)
    version: str = __version__
    jobs: list[PlannedJob] = field(default_factory=list)

    def begun(self, number: int, overrides: Sequence[str], folder: str) -> Record:
        """The record with the job `number` started in `folder`."""
        others = [job for job in self.jobs if job.number != number]
        jobs = [*others, PlannedJob(number, list(overrides), folder)]
        return replace(self, jobs=sorted(jobs, key=lambda job: job.number))

    def values(self, overrides: Iterable[str]) -> dict[str, str]:
        """The values in `overrides` for the keys that the sweep varies."""
        given = dict(_key_and_value(override) for override in overrides)
        return {key: given[key] for key in self.swept if key in given}


def label(swept: Mapping[str, str]) -> str:
    """The values that tell a job from the others: `model.steps=4, llm=none`."""
    return ", ".join(f"{key}={value}" for key, value in swept.items()) or "the only job"


def read(folder: Path) -> Record | None:
    """The record of the sweep in `folder`; null if there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        return Record(**found | {"jobs": [PlannedJob(**job) for job in found["jobs"]]})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"has a {RECORD} that cannot be read ({error})",
            remedy="Resume its jobs by their own folders, or begin the sweep again in another.",
        ) from error


def write(folder: Path, record: Record) -> None:
    write_whole(folder / RECORD, json.dumps(asdict(record), indent=1).encode())


@contextmanager
def locked(folder: Path, *, resumed: bool) -> Iterator[None]:
    """Lock a sweep's folder. Raises UserError if another sweep has it locked, or has its record
    there.

    If no record was written meanwhile, nothing is left there.
    """
    if not resumed:
        _check_free(folder)
    check_locks(folder, "hydra.sweep.dir")
    try:
        held = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout:
        raise UserError(
            field="hydra.sweep.dir",
            value=folder,
            problem="is being written by another sweep right now",
            remedy="Wait for it, end it, or name another place.",
        ) from None
    with held:
        if not resumed:
            _check_free(folder)
        try:
            yield
        finally:
            if not (folder / RECORD).exists():
                (folder / LOCK).unlink(missing_ok=True)


def _check_free(folder: Path) -> None:
    again = f"Resume it ({shell.resume_command(folder)})"
    if not (folder / RECORD).exists():
        if not any(next(folder.glob(name), None) for name in EARLIER):
            return
        again = f"Resume its jobs by their own folders ({shell.resume_command(folder / '0')})"
    raise UserError(
        field="hydra.sweep.dir",
        value=folder,
        problem="already holds a sweep",
        remedy=f"{again}, or name another place.",
    )


def planned(texts: Sequence[str]) -> list[PlannedJob]:
    """The jobs that Hydra's own sweeper makes from the overrides `texts`, in its order.

    None if it needs Hydra to list the choices (`glob`). Raises UserError for more than MOST_JOBS.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    choices: dict[str, list[str]] = {}
    try:
        typed = OverridesParser.create().parse_overrides(list(texts))
        _refuse_many(typed)
        for override in typed:
            key, several = override.get_key_element(), override.is_sweep_override()
            values = (
                override.sweep_string_iterator()
                if several
                else [override.get_value_element_as_str()]
            )
            choices[key] = [f"{key}={value}" for value in values]
    except HydraException:
        return []
    every = itertools.product(*choices.values())
    return [PlannedJob(number, list(overrides)) for number, overrides in enumerate(every)]


def _refuse_many(typed: Iterable[Override]) -> None:
    """Raise UserError if they make more than MOST_JOBS, before these are listed."""
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep

    many: dict[str, int] = {}
    for override in typed:
        value = override.value()
        if isinstance(value, RangeSweep) and value.step:
            assert value.start is not None and value.stop is not None  # by Hydra's grammar
            values = max(0, math.ceil((value.stop - value.start) / value.step))
        else:
            values = len(value.list) if isinstance(value, ChoiceSweep) else 1
        many[override.get_key_element()] = values
    if (jobs := math.prod(many.values())) > MOST_JOBS:
        key = max(many, key=lambda name: many[name])
        raise UserError(
            field=key,
            value=f"{many[key]:,} values",
            problem=f"makes {jobs:,} jobs with what else varies; a sweep has {MOST_JOBS:,} at most",
            remedy="Vary fewer values; what differs from row to row is a column (model.columns).",
        )


def swept_keys(arguments: Iterable[str], params: Mapping[str, Any] | None) -> list[str]:
    """The keys that a multirun varies: of the typed `arguments` and `hydra.sweeper.params`.

    What is typed beats what an experiment's file says, as in Hydra.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    typed = [text for text in arguments if "=" in text and not text.startswith("-")]
    texts = [f"{key}={value}" for key, value in (params or {}).items()] + typed
    varied: dict[str, bool] = {}
    for override in OverridesParser.create().parse_overrides(texts):
        varied[override.get_key_element().lstrip("+~")] = override.is_sweep_override()
    varied.pop(REPEAT, None)
    return [key for key, sweeps in varied.items() if sweeps and not key.startswith("hydra")]


def _key_and_value(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+~").partition("=")
    return key, value
