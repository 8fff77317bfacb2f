"""One run, from the checks to the summary: look, settle, start Ray, draw, count, record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from imagepipe import (
    diffusion,
    llm,
    pipeline,
    report,
    resources,
    results,
    scoring,
    sources,
    terminal,
    tracking,
)
from imagepipe.config import Config
from imagepipe.diffusion import checks
from imagepipe.errors import Interrupted, RunFailed, UserError
from imagepipe.ledger import Ledger
from imagepipe.machine import Machine, this_machine
from imagepipe.report import Job, Member
from imagepipe.session import cluster, session
from imagepipe.sink import Writer, collect_rejected, write_whole
from imagepipe.watch import Watch

METRICS_EVERY_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """What a finished run tells its caller."""

    folder: Path
    summary: dict[str, Any]

    @property
    def images_per_s(self) -> float | None:
        """Steady pictures per second where it could be measured, else end to end."""
        rates = self.summary["images_per_s"]
        return rates["steady"] or rates["end_to_end"]


@dataclass(frozen=True)
class Ready:
    """A run that passed all checks which need no Ray. `machine` null: a running cluster."""

    config: Config
    folder: Path
    tables: sources.Tables
    machine: Machine | None


def run(config: Config, folder: Path, overrides: Sequence[str] = ()) -> Outcome:
    """Run `config` into `folder`. `overrides` are what was typed, for MLflow's parameters.

    Raises UserError before anything starts where something cannot work, RunFailed where the run
    broke or its ledger does not add up, Interrupted on Ctrl-C; what is written by then stays.
    """
    began = time.time()
    ready = prepare(config, folder)
    tracking.warm(config.tracking, Path(config.outputs).absolute())
    with session(config.ray, ready.machine, verbose=config.verbose):
        return perform(ready, overrides, began)


def prepare(config: Config, folder: Path) -> Ready:
    """Check all that can be checked without Ray; raises UserError for what cannot work."""
    folder = folder.absolute()
    _check_folder(folder)
    tables = sources.look(config.dataset, config.limit)
    terminal.licence(Console(stderr=True), config.model)
    check_models(config)
    tracking.check(config.tracking)
    machine = None if config.ray.address else this_machine(config.ray)
    if machine is not None:
        resources.settle(config, machine, tables.rows)  # refuse before Ray starts
    return Ready(config, folder, tables, machine)


def perform(
    ready: Ready, overrides: Sequence[str], began: float, member: Member | None = None
) -> Outcome:
    """Run inside a Ray session. `began` is when its clock starts; `member` says of which sweep."""
    config, tables, console = ready.config, ready.tables, Console(stderr=True)
    machine = ready.machine or cluster()
    shares, why = resources.settle(config, machine, tables.rows)
    ledger, watch = Ledger(tables.rows), Watch(config.ray.start_timeout_s)
    job = Job(config, ready.folder, tables, shares, str(machine), ledger, watch, began, member)
    terminal.hello(console, job, why)
    try:
        tracker = report.track(config, ready.folder, overrides, member, tables)
        return _tracked(job, tracker, console)
    except KeyboardInterrupt:  # it may have come while the record was begun or ended
        if tracking.is_open(ready.folder):
            tracker = report.track(config, ready.folder, overrides, member, tables)
            report.leave_short(tracker, ready.folder, report.short("KILLED", "interrupted", member))
        raise


def _tracked(job: Job, tracker: tracking.Tracker, console: Console) -> Outcome:
    """Draw, and leave a summary and an ended MLflow run whatever happens."""
    status: tracking.Status = "FAILED"
    trouble: str | None = None
    try:
        _draw(job, tracker, console)
        status = "FINISHED"
        if not job.ledger.adds_up:
            status = "FAILED"
            trouble = f"{job.ledger.rows} of {job.ledger.rows_read} rows accounted for"
    except KeyboardInterrupt:
        status, trouble = "KILLED", "interrupted"
    except Exception as error:
        trouble = _plain(error)
        if job.config.verbose:
            console.print_exception()
    collect_rejected(job.folder)
    summary = {"status": status, "trouble": trouble, **report.summary(job, tracker)}
    _leave(job, tracker, summary)
    if trouble:
        kind = Interrupted if status == "KILLED" else RunFailed
        raise kind(terminal.trouble(job, trouble))
    terminal.goodbye(console, job, tracker, summary)
    return Outcome(job.folder, summary)


def _draw(job: Job, tracker: tracking.Tracker, console: Console) -> None:
    """Run the plan; what comes back to the driver are counts, never pictures."""
    from ray.data import DataContext

    DataContext.get_current().custom_execution_callback_classes = [job.watch.callback()]
    renamed = job.tables.renamed
    writer = Writer(
        folder=str(job.folder),
        sink=job.config.sink,
        run_seed=job.config.seed,
        id_column=job.tables.id,
        input_columns={renamed.get(name, name): name for name in job.tables.input_columns},
        facts=report.facts(job.config, tracker.run_id),
    )
    plan = pipeline.build(job.config, job.tables, job.shares, writer)
    next_metrics = time.monotonic()
    with terminal.Progress(job.tables.rows, console) as progress:
        for counts in plan.iter_batches(batch_size=None, batch_format="pyarrow"):
            job.ledger.add(counts)
            doing = {name: str(state.rows) for name, state in report.stages(job)}
            progress.update(job.ledger.rows, job.ledger.steady(), doing)
            if time.monotonic() >= next_metrics:
                next_metrics = time.monotonic() + METRICS_EVERY_S
                tracker.metrics(report.live(job.ledger), step=job.ledger.rows)


def _leave(job: Job, tracker: tracking.Tracker, summary: dict[str, Any]) -> None:
    """Write what there is to look at, and end the MLflow run."""
    shown = results.to_show(job.folder, job.tables.id, job.config.sink.gallery_images)
    report.write_files(job, summary, shown)
    tracker.finish(
        summary["status"],
        summary=summary,
        pictures=results.of_rows(job.folder, job.tables.id, job.tables.first_ids),
        folder=job.folder,
        note=report.note(job, summary),
    )


def _check_folder(folder: Path) -> None:
    if (folder / "table").exists():
        raise UserError(
            field="hydra.run.dir",
            value=folder,
            problem="already holds a run",
            remedy="Name another folder, or leave the key out.",
        )
    try:
        write_whole(folder / ".writable", b"")
    except OSError as error:
        raise UserError(
            field="hydra.run.dir",
            value=folder,
            problem=f"cannot be written to ({error.strerror})",
            remedy="Name a folder that you may write to.",
        ) from error
    (folder / ".writable").unlink()


def check_models(config: Config) -> None:
    """Raise UserError where an engine, its weights or its options are not to be had."""
    if config.model.engine == "diffusers":
        checks.check(config.model)
    if config.model.engine == "custom":
        diffusion.make(config.model)
    llm.check(config.llm)
    scoring.check(config.scorer)


def _plain(error: Exception) -> str:
    """The last line of what Ray says: the error itself, without the stack around it."""
    if isinstance(error, RunFailed):
        return str(error)
    cause = getattr(error, "cause", None) or error.__cause__ or error
    if type(cause).__name__ == "SystemException":  # Ray's mark, not the error
        cause = error
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1].strip() if lines else ''}"
