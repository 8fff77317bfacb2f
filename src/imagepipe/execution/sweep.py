"""A sweep: jobs one after another in one Ray session, or side by side; one parent run in MLflow,
and one comparison.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, read_write
from rich.console import Console

from imagepipe import config as configuration
from imagepipe import resources, shell, store, tracking
from imagepipe.config import Config
from imagepipe.errors import Interrupted, UserError
from imagepipe.execution import loading, manifest, reuse, run, session
from imagepipe.execution.beside import SideBySide, kept_to
from imagepipe.execution.prepare import prepared
from imagepipe.execution.session import SharedSession
from imagepipe.reports import comparison, record, terminal
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.resources import parts
from imagepipe.resources.machine import Machine, from_ray, living, this_machine
from imagepipe.resources.parts import Part
from imagepipe.signals import termination_as_interrupt
from imagepipe.sink import sweeps

ANY_ROWS = 1_000_000  # of a run without a limit, as far as its processes depend on them


@dataclass(frozen=True)
class Asked:
    """A composed job. `common` is the configuration that all jobs share, for jobs that are
    refused.
    """

    cfg: DictConfig
    folder: Path
    overrides: list[str]
    composed: dict[str, str]
    sweep_job: SweepJob
    common: Config


class Sweep:
    """The jobs of one multirun. Entered before the first job and left after the last, by whoever
    holds the lock of its `folder`.

    A job that fails, even in its checks, is a FAILED child with its reason, and the others run.
    Ctrl-C and SIGTERM end the whole sweep. However it ends, the jobs of its record are compared,
    and the parent run gets its status.

    `config` is what all jobs share: its tracking and `outputs` are those of the sweep itself. If
    `folder` has a record already, that sweep is resumed: finished work stays.
    """

    def __init__(self, config: Config, folder: Path, begun: sweeps.Record) -> None:
        self.config, self.folder = config, folder
        self.resumed = sweeps.read(folder)
        self.record = self.resumed or begun
        self._sessions = SharedSession()
        self._beside: SideBySide | None = None
        self._divided = False
        self._stack = ExitStack()

    def __enter__(self) -> Sweep:
        """Raises UserError if nothing can be recorded at `tracking.uri`."""
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
        """Run one job in `folder`; returns its objective, or null if it drew too little to
        measure.

        Side by side the job has only started then: see `wait`.
        """
        folder = self._begun(number, folder.absolute(), overrides)
        place = self._sweep_job(number, overrides)
        asked = Asked(cfg, folder, [*overrides], dict(composed), place, self.config)
        try:
            beside = self._side_by_side(cfg)
        except UserError as error:
            _refuse(asked, error)
            raise
        if beside is not None:
            beside.begin(number, self.folder, asked, after_first=reuse.is_on(self.config.sweep))
            return None
        outcome = _run(asked, self._sessions.session)
        if outcome.stopped:
            raise self.interrupted
        return comparison.objective(self.config.sweep, outcome.summary)

    @property
    def interrupted(self) -> Interrupted:
        return Interrupted(f"interrupted\n  resume with: {shell.resume_command(self.folder)}")

    def wait(self, *, interrupted: bool) -> list[BaseException]:
        """Wait until the jobs side by side have ended; returns the errors of failed ones.

        Raises Interrupted at the end if Ctrl-C was pressed meanwhile; `interrupted`: or before.
        """
        if self._beside is None:
            return []
        try:
            self._beside.wait(interrupted=interrupted)
        except KeyboardInterrupt:
            raise self.interrupted from None
        return self._beside.errors

    def _side_by_side(self, cfg: DictConfig) -> SideBySide | None:
        """What runs jobs side by side; null if only one fits, or one is wanted.

        The first job whose configuration can be read decides.
        """
        if self.config.sweep.jobs_at_once == 1 or self._divided:
            return self._beside
        try:
            config = configuration.load(copy.deepcopy(cfg))
        except UserError:
            return None  # it is refused when it is run
        parts, self._divided = divided(config), True
        if len(parts) > 1:
            terminal.side_by_side(Console(stderr=True), [str(part.machine) for part in parts])
            self._beside = SideBySide(parts)
        return self._beside

    def _begun(self, number: int, folder: Path, overrides: Sequence[str]) -> Path:
        """The folder of the job, which the record now holds. A summary there without a run is
        that of a refused job, which is started again.
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
        """Compare the jobs, and end the parent run even if that fails."""
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
        """The job's place in the sweep. Waits for the parent run, in which the job's run is
        nested.
        """
        _ = self.tracker.run_id
        swept = self.record.values(overrides)
        return SweepJob(number, swept, self.name, self.tracker.as_parent, self.folder)

    def refuse(
        self, number: int, cfg: DictConfig, folder: Path, overrides: Sequence[str], error: Exception
    ) -> None:
        """Record a job that did not pass its checks as a FAILED run."""
        folder = self._begun(number, folder.absolute(), overrides)
        place = self._sweep_job(number, overrides)
        _refuse(Asked(cfg, folder, [*overrides], {}, place, self.config), error)


def run_apart(asked: Asked, part: Part) -> None:
    """Run a job in this process, within `part`."""
    with termination_as_interrupt():
        tracking.preload(asked.common.tracking, Path(asked.common.outputs).absolute())
        outcome = _run(asked, session.session, part)
    if outcome.stopped:
        raise Interrupted("interrupted")


def _run(asked: Asked, sessions: Callable[..., Any], part: Part | None = None) -> run.Outcome:
    """Run a job in one of `sessions`; one that fails before it has left anything is recorded,
    too.
    """
    overrides = asked.overrides
    try:
        config = configuration.load(_of_job(asked.cfg, asked.folder))
        if part is not None:
            config.ray = kept_to(config.ray, part)
        if config.sink.path:  # a place of its own for each job, as its folder is
            config.sink.path = store.below(config.sink.path, str(asked.sweep_job.number))
            overrides = [*overrides, f"sink.path={shell.quoted(config.sink.path)}"]
        what = (config, asked.folder, overrides, asked.composed, asked.sweep_job)
        with prepared(*what) as ready:
            if earlier := run.earlier_outcome(config, asked.folder):
                return earlier
            libraries = loading.libraries(config)
            with sessions(config.ray, ready.machine, libraries, verbose=config.verbose):
                return run.perform(ready, time.time())
    except Exception as error:
        _refuse(asked, error)
        raise


def _refuse(asked: Asked, error: Exception) -> None:
    folder, mine = asked.folder, asked.common
    if (folder / "summary.json").exists():
        return
    config = configuration.unchecked(asked.cfg)
    config = replace(config, tracking=mine.tracking, outputs=mine.outputs)
    tracker = record.track(config, folder, asked.overrides, asked.sweep_job, None)
    record.finish_early(tracker, folder, "FAILED", str(error), asked.sweep_job)


def divided(config: Config) -> list[Part]:
    """The parts of this machine, or of the cluster, for jobs side by side."""
    sweep = config.sweep

    def fits(machine: Machine) -> bool:
        try:
            resources.resolve(config, machine, config.limit or ANY_ROWS)
        except UserError:
            return False
        return True

    if config.ray.address is None:
        machine = this_machine(config.ray)
        divide = partial(parts.of_machine, machine)
    else:
        import ray

        with session.session(config.ray, None, verbose=config.verbose):
            nodes = living(ray.nodes(), config.ray.nodes)
        machine, divide = from_ray(nodes), partial(parts.of_cluster, nodes)
    return parts.divided(sweep.jobs_at_once, machine, divide, fits, alike=sweep.compares_speed)


def _of_job(cfg: DictConfig, folder: Path) -> DictConfig:
    """`cfg`, set to resume what was started in `folder`, if anything was."""
    begun = (folder / manifest.RECORD).exists()
    job = copy.deepcopy(cfg)
    with read_write(job):
        job.resume = str(folder) if begun else None
        job.retry_failed = job.retry_failed and begun
    return job
