"""Before Ray starts: a run's checks, its lock and its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from imagepipe import resources, shell, sources, tracking
from imagepipe.config import Config
from imagepipe.errors import Interrupted, UserError
from imagepipe.execution import (
    distance,
    manifest,
    pipeline,
    publishing,
    reuse,
    session,
    share_memory,
)
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.resources.machine import Machine, this_machine
from imagepipe.sink.lock import RunLock, acquire, leaving_nothing
from imagepipe.sink.parts import REJECTED, written_parts
from imagepipe.stages.stage import Stage
from imagepipe.store import Store, write_whole


@dataclass(frozen=True)
class Ready:
    """A run that passed all checks that do not need Ray. `machine` null: a running cluster.

    `begin` is called once Ray runs and a cluster's nodes have answered: until then the run can be
    refused, and leaves nothing.
    """

    config: Config
    folder: Path
    tables: sources.Tables
    stages: Sequence[Stage]
    machine: Machine | None
    run_lock: RunLock
    typed: Sequence[str]
    fingerprint: Sequence[dict[str, Any]]  # of the tables
    sweep_job: SweepJob | None
    begin: Callable[[], None]


@contextmanager
def prepared(
    config: Config,
    folder: Path,
    typed: Sequence[str],
    composed: Mapping[str, str] | None = None,
    sweep_job: SweepJob | None = None,
) -> Iterator[Ready]:
    """Check everything that can be checked without Ray, then lock the places where the run
    writes.

    `sweep_job` is the place in the current sweep. Raises UserError for what cannot work; then
    nothing is changed and nothing is left.
    """
    store = Store.of(config.sink.path, folder)
    with _resumable(folder, sweep_job), _place(config, folder, store):
        earlier = None if config.resume is None else manifest.read(folder)
        tables = sources.scan(config.dataset, config.limit, config.model.columns)
        now = manifest.of(config, typed, sources.fingerprint(tables), folder, sweep_job)
        if earlier is not None:
            manifest.check(earlier, now, folder)
        stages, machine = _check(config, tables, sweep_job)
        with acquire(folder, store, (earlier or now).id, new=earlier is None) as mine:
            if earlier is None:
                _check_empty(config, folder, store)
            sweep_job = sweep_job or (earlier.sweep_job if earlier else None)
            what = (config, folder, tables, stages, machine, mine, typed, now.tables, sweep_job)
            new = now if earlier is None else None
            yield Ready(*what, partial(_begin, folder, mine, new, composed or {}))


@contextmanager
def _resumable(folder: Path, sweep_job: SweepJob | None) -> Iterator[None]:
    """Tell a user who interrupts what is within how to resume the run in `folder`, or its sweep."""
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        sweep = sweep_job and sweep_job.folder
        if not (sweep or (folder / manifest.RECORD).exists()):
            raise Interrupted("interrupted") from None
        said = f"interrupted\n  resume with: {shell.resume_command(sweep or folder)}"
        raise Interrupted(said) from None


@contextmanager
def _place(config: Config, folder: Path, store: Store) -> Iterator[None]:
    """Check that the run can write, leaving no empty folder behind."""
    Store.of(None, folder).check("hydra.run.dir")
    if config.sink.path is None:
        yield
        return
    is_folder = "://" not in store.url
    with leaving_nothing("sink.path", Path(store.url)) if is_folder else nullcontext():
        store.check("sink.path")
        yield


def _check(
    config: Config, tables: sources.Tables, sweep_job: SweepJob | None
) -> tuple[Sequence[Stage], Machine | None]:
    """The stages, and this machine, or null if the run joins a cluster. Raises UserError."""
    stages = pipeline.check(config, tables)
    distance.check(config, tables.rows)
    reuse.check(config.sweep)
    tracking.check(config.tracking, Path(config.outputs))
    joins = config.ray.address is not None or session.is_anothers()
    machine = None if joins else this_machine(config.ray)
    shares = config.resources
    if machine is not None:
        shares, _ = resources.resolve(config, machine, tables.rows)  # refuse before Ray starts
        share_memory.check(config, shares, machine)
    check_hub(config, tables.rows, shares.sink.batch_size, sweep_job)
    return stages, machine


def check_hub(config: Config, rows: int, in_a_part: int, sweep_job: SweepJob | None) -> None:
    """Like `publishing.check`; and no job of a sweep can be pushed."""
    if config.sink.hub is not None and sweep_job is not None:
        raise UserError(
            field="sink.hub",
            value=config.sink.hub,
            problem="is one data set, and each job of a sweep would overwrite the one before",
            remedy="Push the job that you choose at the end: resume=ITS_FOLDER sink.hub=user/name.",
        )
    publishing.check(config, rows, in_a_part)


def _begin(
    folder: Path, mine: RunLock, record: manifest.Record | None, composed: Mapping[str, str]
) -> None:
    """Mark the store as this run's, and write `record` and the composed configuration into the
    folder of a new run, as Hydra would.
    """
    mine.keep()  # first: a run without a record is begun again, and takes the place over
    if record is None:
        return
    if composed:
        (folder / ".hydra").mkdir(exist_ok=True)
    for name, text in composed.items():
        write_whole(folder / ".hydra" / name, text.encode())
    write_whole(folder / manifest.RECORD, manifest.to_json(record).encode())


def _check_empty(config: Config, folder: Path, store: Store) -> None:
    """Raise UserError if a run's rows are in `store`."""
    parts = [
        *written_parts(store),
        *(part for name in REJECTED for part in store.parts(f".{name}")),
    ]
    if parts or any(store.exists(f"{name}.parquet") for name in REJECTED):
        here = config.sink.path is None or (folder / manifest.RECORD).exists()
        wrote = shell.resume_command(folder) if here else "resume=ITS FOLDER"
        raise UserError(
            field="hydra.run.dir" if config.sink.path is None else "sink.path",
            value=store.url,
            problem="already holds a run",
            remedy=f"Resume it ({wrote}), or name another place.",
        )
