"""A sweep: jobs one after another in one Ray session, one parent in MLflow, one comparison."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from omegaconf import DictConfig, read_write
from rich.console import Console

from imagepipe import config as configuration
from imagepipe import shell, store, tracking
from imagepipe.config import Config
from imagepipe.errors import Interrupted
from imagepipe.execution import manifest, pipeline, run
from imagepipe.execution.prepare import prepared
from imagepipe.execution.session import SharedSession
from imagepipe.reports import comparison, record, terminal
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.signals import termination_as_interrupt
from imagepipe.sink import sweeps


class Sweep:
    """The jobs of one multirun. To be entered before the first and left after the last, by who
    holds the lock of its `folder`.

    A job that fails, also in its checks, is a FAILED child with its reason, and the others run.
    Ctrl-C and SIGTERM end the whole sweep. However it ends, the jobs of its record get compared,
    and the parent gets its state.

    `config` is what all jobs have: of it come the tracking and `outputs` of the sweep itself. Where
    `folder` has a record already, that sweep is resumed: what its jobs have done stays.
    """

    def __init__(self, config: Config, folder: Path, begun: sweeps.Record) -> None:
        self.config, self.folder = config, folder
        self.resumed = sweeps.read(folder)
        self.record = self.resumed or begun
        self._sessions = SharedSession()
        self._stack = ExitStack()

    def __enter__(self) -> Sweep:
        """Raises UserError where nothing can be recorded at `tracking.uri`."""
        with ExitStack() as stack:
            self._begin_record()
            sweeps.write(self.folder, self.record)
            stack.enter_context(termination_as_interrupt())
            stack.callback(self._sessions.close)
            self._stack = stack.pop_all()
        return self

    def _begin_record(self) -> None:
        folder = self.folder
        self.tracker = tracking.start(
            replace(self.config.tracking, system_metrics=False, run_name=f"sweep {folder.name}"),
            outputs=Path(self.config.outputs).absolute(),
            folder=folder,
            params={"swept": ", ".join(self.record.swept)},
            tags={"sweep.folder": str(folder)},
            datasets=[],
            config_yaml=configuration.to_yaml(self.config),
        )
        parent = self.tracker.as_parent
        self.name = f"{folder.name}-{parent.run[:6]}" if parent else folder.name

    def job(
        self,
        number: int,
        cfg: DictConfig,
        folder: Path,
        overrides: Sequence[str],
        composed: Mapping[str, str],
    ) -> float | None:
        """Run one job in `folder`; its objective, or null where it drew nothing to measure."""
        folder = self._begun(number, folder.absolute(), overrides)
        sweep_job = self._sweep_job(number, overrides)
        try:
            config = configuration.load(_of_job(cfg, folder))
            if config.sink.path:  # a place of its own for each job, as its folder is
                config.sink.path = store.below(config.sink.path, str(number))
                overrides = [*overrides, f"sink.path={shell.quoted(config.sink.path)}"]
            outcome = self._outcome(config, folder, overrides, composed, sweep_job)
        except Exception as error:
            self.refuse(number, cfg, folder, overrides, error)
            raise
        if outcome.stopped:
            again = shell.resume_command(self.folder)
            raise Interrupted(f"interrupted\n  go on with: {again}")
        return comparison.objective(config.sweep, outcome.summary)

    def _outcome(
        self,
        config: Config,
        folder: Path,
        overrides: Sequence[str],
        composed: Mapping[str, str],
        sweep_job: SweepJob,
    ) -> run.Outcome:
        with prepared(config, folder, overrides, composed, sweep_job) as ready:
            if earlier := run.earlier_outcome(config, folder):
                return earlier
            libraries = pipeline.libraries(config)
            with self._sessions.session(
                config.ray, ready.machine, libraries, verbose=config.verbose
            ):
                return run.perform(ready, time.time())

    def _begun(self, number: int, folder: Path, overrides: Sequence[str]) -> Path:
        """Where the job is, which the record says from now on. What it said at an end without a
        run is of a job that was refused, and is begun again.
        """
        known = [job.folder for job in self.record.jobs if job.number == number and job.folder]
        if known:
            folder = Path(os.path.normpath(self.folder / known[0]))
        place = os.path.relpath(folder, self.folder)
        self.record = self.record.begun(number, overrides, place)
        sweeps.write(self.folder, self.record)
        if not (folder / manifest.RECORD).exists():
            (folder / "summary.json").unlink(missing_ok=True)
        return folder

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status: tracking.Status = "FINISHED"
        if error is not None:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        try:
            self._sessions.close()
            self._end(status, str(error or ""))
        finally:
            self._stack.close()

    def _end(self, status: tracking.Status, told: str) -> None:
        """Compare the jobs, and end the parent even where that breaks."""
        result = None
        try:
            result = comparison.write(self.folder, self.config.sweep)
        finally:
            self.tracker.finish(
                status,
                summary={"status": status, **(result.numbers() if result else {})},
                pictures=[],
                folder=self.folder,
                note=result.note() if result else None,
            )
        order = f"images_per_s/{result.kind}"
        links = self.tracker.sweep_links(self.name, order)
        terminal.sweep_end(Console(stderr=True), self.folder, result, links, told)

    def _sweep_job(self, number: int, overrides: Sequence[str]) -> SweepJob:
        """A job's place. Waits for the parent, in which the job's record is nested."""
        _ = self.tracker.run_id
        swept = self.record.values(overrides)
        return SweepJob(number, swept, self.name, self.tracker.as_parent, self.folder)

    def refuse(
        self,
        number: int,
        cfg: DictConfig,
        folder: Path,
        overrides: Sequence[str],
        error: Exception,
    ) -> None:
        """A job that did not pass its checks is a FAILED run too, where the sweep is recorded."""
        folder = self._begun(number, folder.absolute(), overrides)
        if (folder / "summary.json").exists():
            return
        mine, sweep_job = self.config, self._sweep_job(number, overrides)
        config = configuration.unchecked(cfg)
        config = replace(config, tracking=mine.tracking, outputs=mine.outputs)
        tracker = record.track(config, folder, overrides, sweep_job, None)
        record.finish_early(tracker, folder, "FAILED", str(error), sweep_job)


def _of_job(cfg: DictConfig, folder: Path) -> DictConfig:
    """`cfg`, to resume what was begun in `folder`, where there is something."""
    begun = (folder / manifest.RECORD).exists()
    job = copy.deepcopy(cfg)
    with read_write(job):
        job.resume = str(folder) if begun else None
        job.retry_failed = job.retry_failed and begun
    return job
