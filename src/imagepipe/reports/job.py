"""A run in progress, as its reports see it, and its place in a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagepipe import sources
from imagepipe.config import Config, OwnStage, Resources
from imagepipe.prompts.signs import unread
from imagepipe.reports.progress import Watch
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.resources.energy import Meter
from imagepipe.resources.neighbours import Neighbours
from imagepipe.sink.ledger import Ledger
from imagepipe.sink.lock import RunLock
from imagepipe.sink.resume import Done
from imagepipe.sink.reuse import Reuse, Taken
from imagepipe.stages import engines
from imagepipe.stages.own import IMAGE
from imagepipe.stages.stage import Stage
from imagepipe.store import Store


@dataclass(frozen=True)
class Job:
    """A run in progress: its settings, what was found, and its counts so far."""

    config: Config
    folder: Path
    tables: sources.Tables
    stages: Sequence[Stage]  # between reading and writing
    shares: Resources
    why: str  # these shares, and where they were measured a line for each reason
    machine: str
    ledger: Ledger
    watch: Watch
    began: float  # time.time() of the command
    sweep_job: SweepJob | None
    run_lock: RunLock
    done: Done  # by earlier commands; the ledger begins with it
    machines: int = 1
    meter: Meter | None = None  # of this machine's GPUs; null: a cluster
    neighbours: Neighbours | None = None  # null: a cluster, of which this machine is no measure
    reuse: Reuse | None = None

    @property
    def in_sweep(self) -> bool:
        """Whether this command also runs the sweep's other jobs, and reports them at its end."""
        return self.sweep_job is not None and self.sweep_job.folder is not None

    @property
    def taken(self) -> Mapping[str, Taken]:
        """What is reused from earlier runs, by stage."""
        return self.reuse.taken if self.reuse else {}

    @property
    def repainting(self) -> list[OwnStage]:
        """The custom stages that change the picture."""
        names = {one.name for one in self.stages if IMAGE in one.changes.names}
        return [one for one in self.config.stages if one.name in names]

    @property
    def store(self) -> Store:
        """Where pictures, table and rejected rows are."""
        return Store.of(self.config.sink.path, self.folder)

    @property
    def unread_columns(self) -> dict[str, str]:
        """Columns that seem to set something for their row, and the keys that set it instead."""
        data = self.config.dataset
        named = (name for one in self.tables.templates.values() for name in one.columns)
        return unread(
            self.tables.input_columns,
            {data.id, *named, *self.config.model.columns.values()},
        )


def scorer_names(config: Config) -> str:
    """The names of a run's scorers for reports, also of a refused run, whose engine may be any
    word. None without scorers.
    """
    names = [name for name, one in config.scorer.items() if one.engine != engines.NONE]
    return ", ".join(names) or engines.NONE
