"""One run, from the checks to the summary: scan, resolve, start Ray, draw, count, record."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from imagepipe import resources, sources, tracking
from imagepipe.compat import ray_data
from imagepipe.config import Config
from imagepipe.diffusion import inversions, rows
from imagepipe.errors import Interrupted, RunFailed
from imagepipe.execution import calibration, chain, distance, nodes, pipeline, reuse
from imagepipe.execution.leaving import leave, leave_short
from imagepipe.execution.loading import libraries
from imagepipe.execution.messages import all_failed, too_many_failed, user_message
from imagepipe.execution.prepare import Ready, prepared
from imagepipe.execution.publishing import publish
from imagepipe.execution.session import cluster, session
from imagepipe.reports import gallery, record, scores, terminal
from imagepipe.reports.job import Job
from imagepipe.reports.progress import Watch
from imagepipe.reports.summary import stages, summarize, title
from imagepipe.resources.energy import Meter
from imagepipe.resources.machine import Machine
from imagepipe.resources.neighbours import Neighbours
from imagepipe.resources.tuning import Calibration
from imagepipe.signals import defer_signals, graceful_stop, termination_as_interrupt
from imagepipe.sink import duplicates, rescored, results, resume
from imagepipe.sink.metadata import run_metadata
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.rejected import why_columns
from imagepipe.sink.resume import Done
from imagepipe.sink.writer import Writer
from imagepipe.store import Store

METRICS_EVERY_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """The outcome of a finished run."""

    folder: Path
    summary: dict[str, Any]
    stopped: bool = False  # the user has asked for the end, too late to leave rows undone

    @property
    def images_per_s(self) -> float | None:
        """Pictures per second in steady state if it could be measured, else end to end."""
        rates = self.summary["images_per_s"]
        return rates["steady"] or rates["end_to_end"]


def run(
    config: Config,
    folder: Path,
    typed: Sequence[str] = (),
    composed: Mapping[str, str] | None = None,
    script: str | None = None,
) -> Outcome:
    """Run `config` into `folder`. `typed` are the command's arguments, to begin it again with,
    `composed` the files by name that `.hydra/` is to hold, and `script` of `loading`.

    With `config.resume` it goes on with the run that `folder` holds, in the same MLflow run.

    Raises UserError before anything starts where something cannot work, RunFailed where the run
    broke or its ledger does not add up, Interrupted on Ctrl-C and SIGTERM; what is written by then
    stays.
    """
    began = time.time()
    with termination_as_interrupt(), prepared(config, folder.absolute(), typed, composed) as ready:
        if finished := earlier_outcome(config, ready.folder):
            publish(config, ready.folder, finished.summary, ready.tables)
            terminal.print_already_complete(Console(stderr=True), finished.folder, finished.summary)
            return finished
        tracking.preload(config.tracking, Path(config.outputs).absolute())
        loaded = libraries(config)
        with session(config.ray, ready.machine, loaded, script=script, verbose=config.verbose):
            return perform(ready, began)


def earlier_outcome(config: Config, folder: Path) -> Outcome | None:
    """The outcome of a run that is to be resumed and has nothing left to do; else null."""
    path = folder / "summary.json"
    if config.resume is None or not path.exists():
        return None
    summary = json.loads(path.read_text("utf-8"))
    again = config.retry_failed and summary.get("failed")
    return Outcome(folder, summary) if summary["status"] == "FINISHED" and not again else None


def perform(ready: Ready, began: float) -> Outcome:
    """Run inside a Ray session. `began` is the time at which its clock starts."""
    config, tables, sweep_job = ready.config, ready.tables, ready.sweep_job
    console = Console(stderr=True)
    machine = ready.machine or cluster(config.ray)
    neighbours = Neighbours(gpus=machine.gpus > 0) if ready.machine else None
    if ready.machine is None or config.sink.path:
        nodes.check(config, Store.of(config.sink.path, ready.folder), tables)
    measured = _measured(config, machine, console)
    shares, why = resources.resolve(config, machine, tables.rows, measured)
    ready.begin()
    done = _done(ready)
    ledger = done.ledger(tables.rows, max(1, shares.model.pool))
    ledger.inversion_words.update(dict.fromkeys(inversions.words(config.model), 0))
    taken = reuse.settled(config, sweep_job, ready.fingerprint, shares, ready.stages)
    watch = Watch(config.ray.start_timeout_s)
    job = Job(
        *(config, ready.folder, tables, ready.stages, shares, why, str(machine), ledger, watch),
        *(began, sweep_job, ready.run_lock, done),
        machines=len(machine.nodes),
        # What the GPUs of other jobs use at the same time is not told from this one's.
        meter=Meter() if ready.machine and config.sweep.jobs_at_once == 1 else None,
        neighbours=neighbours,
        reuse=taken,
    )
    terminal.print_header(console, job)
    tracker: tracking.Tracker | None = None
    try:
        with defer_signals():  # a record that is begun half would be begun again, as another run
            tracker = record.track(config, ready.folder, ready.typed, sweep_job, tables)
        return _tracked(job, tracker, console)
    except Interrupted:
        raise
    except KeyboardInterrupt:  # before the first row, or while the record was ended
        if tracker and tracking.is_open(ready.folder):
            record.finish_early(tracker, ready.folder, "KILLED", "interrupted", sweep_job)
        raise


def _measured(config: Config, machine: Machine, console: Console) -> Calibration | None:
    """The calibration for `resources.calibrate_s`: stored by an earlier run, or measured now."""
    if config.resources.calibrate_s is None:
        return None
    if kept := calibration.known(config, machine):
        return kept
    most = f"measuring the stages on a few rows, for {config.resources.calibrate_s:g} s at most"
    terminal.line(console, "calibrate", most)
    return calibration.calibrate(config, machine)


def _done(ready: Ready) -> Done:
    config, folder = ready.config, ready.folder
    if config.resume is None:
        return Done()
    store = Store.of(config.sink.path, folder)
    # That of the command before would say that nothing is left, once its failed rows are taken in.
    (folder / "summary.json").unlink(missing_ok=True)
    why = why_failed(ready.tables)
    again, errors = config.retry_failed, chain.errors(ready.stages)
    given = (store, ready.tables, config.dataset.id, why)
    return resume.take_in(*given, retry_failed=again, scores=config.judged, errors=errors)


def why_failed(tables: sources.Tables) -> tuple[str, str]:
    """The columns in which rejected rows hold stage and reason: not columns of the table or of a
    joined table, so that the rows can be used as input again.
    """
    return why_columns({*tables.columns, *(name for join in tables.joins for name in join.on)})


def _tracked(job: Job, tracker: tracking.Tracker, console: Console) -> Outcome:
    """Draw, and always leave a summary and an ended MLflow run."""
    status, trouble = _drawn(job, tracker, console)
    summary = {"status": status, "trouble": trouble, **summarize(job, tracker)}
    try:
        job.run_lock.end()
        collect_rejected(job.store)
        _measure(job, summary, console)
        _leave(job, tracker, summary)
    except (Exception, KeyboardInterrupt) as error:  # a full disk, or Ctrl-C: it ends all the same
        if job.config.verbose and isinstance(error, Exception):
            console.print_exception()
        status, trouble = leave_short(job, tracker, summary, error)
    if trouble:
        kind = Interrupted if status == "KILLED" else RunFailed
        raise kind(terminal.trouble(job, trouble))
    publish(job.config, job.folder, summary, job.tables)
    terminal.print_summary(console, job, tracker, summary)
    return Outcome(job.folder, summary, stopped=job.watch.stopping)


def _drawn(
    job: Job, tracker: tracking.Tracker, console: Console
) -> tuple[tracking.Status, str | None]:
    """Draw; returns how it ended, and what went wrong."""
    try:
        if not job.ledger.adds_up:
            _draw(job, tracker, console)
        if job.ledger.adds_up:
            _leave_out(job)
    except KeyboardInterrupt:
        return "KILLED", "interrupted"
    except Exception as error:
        if job.config.verbose:
            console.print_exception()
        return "FAILED", user_message(job, error)
    if job.ledger.adds_up:
        trouble = all_failed(job.ledger)
        return ("FAILED" if trouble else "FINISHED"), trouble
    return "FAILED", f"{job.ledger.rows} of {job.ledger.rows_read} rows accounted for"


def _draw(job: Job, tracker: tracking.Tracker, console: Console) -> None:
    """Run the plan; only counts come back to the driver, never pictures."""
    from ray.data import DataContext

    context = DataContext.get_current()
    job.watch.follow(context)
    ray_data.end_stalls(context, job.config.ray.progress_timeout_s)
    renamed = job.tables.renamed
    writer = Writer(
        store=job.store,
        sink=job.config.sink,
        run_seed=job.config.seed,
        id_column=job.tables.id,
        input_columns={renamed.get(name, name): name for name in job.tables.input_columns},
        metadata=_metadata(job, tracker),
        run_lock=job.run_lock,
        why=why_failed(job.tables),
        features=job.tables.features,
        settings=rows.settings(job.config.model, job.tables.renamed),
        scores=job.config.judged,
        errors=chain.errors(job.stages),
        filter=chain.kept(job.config, job.tables),
        made_by=job.reuse.made_by if job.reuse else None,
        words=tuple(job.ledger.inversion_words),
        thumbnails=gallery.thumbnails(job.config, job.tables.rows, job.store),
        timed=tuple(job.config.sections),
    )
    next_metrics = time.monotonic()
    progress = terminal.Progress(job.tables.rows, console)
    with progress, graceful_stop(job.watch.stop, progress.say):
        what = (job.config, job.tables, job.stages, job.shares, writer, job.done.ids, job.taken)
        plan = pipeline.build(*what)
        for counts in plan.iter_batches(batch_size=None, batch_format="pyarrow"):
            job.ledger.add(counts)
            if not job.watch.complete:
                job.ledger.restart()
            if job.ledger.beyond(job.config.max_failures):
                raise RunFailed(too_many_failed(job))
            doing = {name: str(state.rows) for name, state in stages(job)}
            progress.update(job.ledger.rows, job.ledger.steady(), doing)
            if time.monotonic() >= next_metrics:
                next_metrics = time.monotonic() + METRICS_EVERY_S
                tracker.metrics(record.live(job.ledger), step=job.ledger.rows)
                if job.neighbours:
                    job.neighbours.sample()
    tracker.metrics(record.live(job.ledger), step=job.ledger.rows)
    if job.watch.stopping and not job.ledger.adds_up:
        raise KeyboardInterrupt


def _leave_out(job: Job) -> None:
    """Remove the near-duplicates, which are known once all pictures are written."""
    most, tables = job.config.filter.near_duplicates, job.tables
    if most is not None:
        id, why = job.config.dataset.id, why_failed(tables)
        dropped = duplicates.leave_out(job.store, most, tables.id, id, why, job.run_lock)
        job.ledger.drop(dropped, job.done.ids)
        found = rescored.figures(job.store, job.config.judged, chain.errors(job.stages))
        job.ledger.scores, job.ledger.unscored = found


def _metadata(job: Job, tracker: tracking.Tracker) -> dict[str, str]:
    return run_metadata(job.config, tracker.run_id, job.repainting)


def _measure(job: Job, summary: dict[str, Any], console: Console) -> None:
    """Measure the distance to a reference, if all rows are drawn and one is set."""
    if job.config.distance.reference is not None and summary["status"] == "FINISHED":
        terminal.line(console, "distance", f"measuring it to {job.config.distance.reference}")
        summary["distance"] = distance.of_run(job)


def _leave(job: Job, tracker: tracking.Tracker, summary: dict[str, Any]) -> None:
    """Write the gallery and the contact sheet, and end the MLflow run."""
    table, level = job.tables, job.config.sweep.level
    columns = job.config.score_columns
    scores.add(summary, job.store, table.id, table.category, columns, level)
    heading = gallery.Heading(title(job.config), summary, columns, _metadata(job, tracker))
    ids, most = (table.id, job.config.dataset.id), job.config.sink.gallery_images
    leave(job.folder, job.store, ids, job.config, heading, most, just_drawn=True)
    tracker.finish(
        summary["status"],
        summary=summary,
        pictures=results.of_rows(job.store, job.tables.id, job.tables.first_ids),
        folder=job.folder,
        note=record.note(job, summary),
    )
