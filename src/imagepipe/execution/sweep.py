"""A sweep: jobs one after another in one Ray session, one parent in MLflow, one comparison."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from rich.console import Console

from imagepipe import config as configuration
from imagepipe import shell, store, tracking
from imagepipe.errors import UserError
from imagepipe.execution import manifest, pipeline, run
from imagepipe.execution.session import SharedSession
from imagepipe.reports import comparison, record, terminal
from imagepipe.reports.job import SweepJob
from imagepipe.signals import sigterm_as_interrupt

Refused = tuple[int, DictConfig, Path, Sequence[str], Exception]  # the job's arguments, and why


class Sweep:
    """The jobs of one multirun. To be entered before the first and left after the last.

    A job that fails, also in its checks, is a FAILED child with its reason, and its error goes on
    to Hydra, which runs the others. Ctrl-C and SIGTERM end the whole sweep. However it ends, the
    jobs that there are get compared, and the parent gets its state.

    `cfg` is a job's configuration: of it come the tracking and `outputs` of the sweep itself.
    `swept` are the keys that the sweep varies. The jobs in `refused` never come to `job`; there may
    be more of them once the sweep ends.
    """

    def __init__(
        self, cfg: DictConfig, folder: Path, swept: Sequence[str], refused: Sequence[Refused]
    ) -> None:
        self.folder, self.swept, self.refused = folder, swept, refused
        self.config = configuration.unchecked(cfg)
        self._sessions = SharedSession()
        self._stack = ExitStack()

    def __enter__(self) -> Sweep:
        """Raises UserError where nothing can be recorded at `tracking.uri`, or a sweep is there."""
        with ExitStack() as stack:
            stack.enter_context(_claimed(self.folder))
            self._begin_record()
            stack.enter_context(sigterm_as_interrupt())
            stack.callback(self._sessions.close)
            self._stack = stack.pop_all()
        return self

    def _begin_record(self) -> None:
        folder = self.folder
        self.tracker = tracking.start(
            replace(self.config.tracking, system_metrics=False, run_name=f"sweep {folder.name}"),
            outputs=Path(self.config.outputs).absolute(),
            folder=folder,
            params={"swept": ", ".join(self.swept)},
            tags={"sweep.folder": str(folder)},
            datasets=[],
            config_yaml=configuration.to_yaml(self.config),
        )
        parent = self.tracker.as_parent
        self.name = f"{folder.name}-{parent.run[:6]}" if parent else folder.name

    def job(
        self, number: int, cfg: DictConfig, folder: Path, overrides: Sequence[str]
    ) -> float | None:
        """Run one job in `folder`; its objective, or null where it drew nothing to measure."""
        sweep_job = self._sweep_job(number, overrides)
        try:
            config = configuration.load(cfg)
            if config.sink.path:  # a place of its own for each job, as its folder is
                config.sink.path = store.below(config.sink.path, str(number))
                overrides = [*overrides, f"sink.path={shell.quoted(config.sink.path)}"]
            with (
                run.prepared(config, folder.absolute(), overrides) as ready,
                self._sessions.session(
                    config.ray,
                    ready.machine,
                    pipeline.libraries(config),
                    verbose=config.verbose,
                ),
            ):
                outcome = run.perform(ready, time.time(), sweep_job)
            return comparison.objective(config.sweep, outcome.summary)
        except Exception as error:
            self._record_refused(number, cfg, folder, overrides, error)
            raise

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
            self._end(status)
        finally:
            self._stack.close()

    def _end(self, status: tracking.Status) -> None:
        """Compare the jobs, and end the parent even where that breaks."""
        result = None
        try:
            for refused in self.refused:
                self._record_refused(*refused)
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
        terminal.sweep_end(Console(stderr=True), self.folder, result, links)

    def _sweep_job(self, number: int, overrides: Sequence[str]) -> SweepJob:
        """A job's place. Waits for the parent, in which the job's record is nested."""
        _ = self.tracker.run_id
        values = dict(_key_and_value(override) for override in overrides)
        swept = {key: values[key] for key in self.swept if key in values}
        return SweepJob(number, swept, self.name, self.tracker.as_parent)

    def _record_refused(
        self,
        number: int,
        cfg: DictConfig,
        folder: Path,
        overrides: Sequence[str],
        error: Exception,
    ) -> None:
        """A job that did not pass its checks is a FAILED run too, where the sweep is recorded."""
        if (folder / "summary.json").exists():
            return
        mine, sweep_job = self.config, self._sweep_job(number, overrides)
        config = configuration.unchecked(cfg)
        config = replace(config, tracking=mine.tracking, outputs=mine.outputs)
        tracker = record.track(config, folder, overrides, sweep_job, None)
        record.finish_early(tracker, folder, "FAILED", str(error), sweep_job)


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold a sweep's folder. Raises UserError where another sweep does, or jobs are there."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder / ".sweep.lock").acquire(timeout=0)
    except Timeout:
        raise UserError(
            field="hydra.sweep.dir",
            value=folder,
            problem="is being written by another sweep right now",
            remedy="Wait for it, end it, or name another place.",
        ) from None
    with held:
        if any(next(folder.glob(f"*/{name}"), None) for name in (manifest.RECORD, "summary.json")):
            raise UserError(
                field="hydra.sweep.dir",
                value=folder,
                problem="already holds a sweep",
                remedy="Name another place, or leave it out. A job is gone on with by itself: "
                f"{shell.python()} -m imagepipe resume=ITS FOLDER",
            )
        yield


def swept_keys(arguments: Iterable[str], params: Mapping[str, Any] | None) -> list[str]:
    """The keys that a multirun varies: of the typed `arguments` and `hydra.sweeper.params`.

    What is typed beats what an experiment's file says, as in Hydra.
    """
    typed = [text for text in arguments if "=" in text and not text.startswith("-")]
    texts = [f"{key}={value}" for key, value in (params or {}).items()] + typed
    varied: dict[str, bool] = {}
    for override in OverridesParser.create().parse_overrides(texts):
        varied[override.get_key_element().lstrip("+~")] = override.is_sweep_override()
    return [key for key, sweeps in varied.items() if sweeps and not key.startswith("hydra")]


def _key_and_value(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+~").partition("=")
    return key, value
