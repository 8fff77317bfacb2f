"""A sweep: jobs one after another in one Ray session, one parent in MLflow, one comparison."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from rich.console import Console

from imagepipe import comparison, pipeline, record, report, run, store, terminal, tracking
from imagepipe import config as configuration
from imagepipe.config import Config
from imagepipe.config import Sweep as Aim
from imagepipe.errors import UserError
from imagepipe.report import Member
from imagepipe.session import SharedSession, sigterm_as_interrupt


class Sweep:
    """The jobs of one multirun. To be entered before the first and left after the last.

    A job that fails, also in its checks, is a FAILED child with its reason, and its error goes on
    to Hydra, which runs the others. Ctrl-C and SIGTERM end the whole sweep. However it ends, the
    jobs that there are get compared, and the parent gets its state.

    `cfg` is a job's configuration: of it come the tracking and `outputs` of the sweep itself.
    `swept` are the keys that the sweep varies.
    """

    def __init__(self, cfg: DictConfig, folder: Path, swept: Sequence[str]) -> None:
        self.folder, self.swept = folder, swept
        self.config = configuration.unchecked(cfg)
        self.errors: list[Exception] = []
        self.jobs = 0
        self._sessions = SharedSession()
        self._stack = ExitStack()

    def __enter__(self) -> Sweep:
        """Raises UserError where nothing can be recorded at `tracking.uri`, or a sweep is there."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*/summary.json")):
            raise UserError(
                field="hydra.sweep.dir",
                value=folder,
                problem="already holds a sweep",
                remedy="Name another place, or leave it out. A job is gone on with by itself: "
                f"{record.python()} -m imagepipe resume=ITS FOLDER",
            )
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
        self._stack.enter_context(sigterm_as_interrupt())
        self._stack.callback(self._sessions.close)
        return self

    def job(self, cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
        """Run one job in `folder`; its objective, or null where it drew nothing to measure."""
        member = self._member(overrides)
        try:
            config = configuration.load(cfg)
            if config.sink.path:  # a place of its own for each job, as its folder is
                config.sink.path = store.below(config.sink.path, str(member.number))
                overrides = [*overrides, f"sink.path='{config.sink.path}'"]
            with (
                run.prepared(config, folder.absolute(), overrides) as ready,
                self._sessions.session(
                    config.ray,
                    ready.machine,
                    pipeline.libraries(config),
                    verbose=config.verbose,
                ),
            ):
                outcome = run.perform(ready, time.time(), member)
            return objective(config.sweep, outcome)
        except Exception as error:
            self.errors.append(error)
            if not (folder / "summary.json").exists():
                self._record_refused(configuration.unchecked(cfg), folder, overrides, member)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status: tracking.Status = "FINISHED"
        if error is not None:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
        try:
            self._sessions.close()
            self._end(status)
        finally:
            self._stack.close()
        if (
            isinstance(error, ValueError | RuntimeError)
            and self.errors
            and error not in self.errors
        ):
            # A sweeper tripped over failed jobs: Optuna where all are, its grid where the last is.
            raise self.errors[-1] from error

    def _end(self, status: tracking.Status) -> None:
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
        terminal.sweep_end(Console(stderr=True), self.folder, result, links)

    def _member(self, overrides: Sequence[str]) -> Member:
        """The next job's place. Waits for the parent, in which the job's record is nested."""
        _ = self.tracker.run_id
        values = dict(_key_and_value(override) for override in overrides)
        number, self.jobs = self.jobs, self.jobs + 1
        swept = {key: values[key] for key in self.swept if key in values}
        return Member(number, swept, self.name, self.tracker.as_parent)

    def _record_refused(
        self, config: Config, folder: Path, overrides: Sequence[str], member: Member
    ) -> None:
        """A job that did not pass its checks is a FAILED run too, where the sweep is recorded."""
        config = replace(config, tracking=self.config.tracking, outputs=self.config.outputs)
        tracker = report.track(config, folder, overrides, member, None)
        report.leave_short(tracker, folder, "FAILED", str(self.errors[-1]), member)


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


def objective(aim: Aim, outcome: run.Outcome) -> float | None:
    """What a sweeper maximises, of a finished job; null where it drew nothing.

    Raises UserError where the score that is asked for is none of the run's.
    """
    scores = list(outcome.summary.get("scores") or {})
    if aim.objective == "score" and not scores:
        raise UserError(
            field="sweep.objective",
            value="score",
            problem="the run has no scores",
            remedy="Choose a scorer, or sweep.objective=images_per_s.",
        )
    if aim.objective == "score" and aim.score not in (None, *scores):
        raise UserError(
            field="sweep.score",
            value=aim.score,
            problem="the run has no such score",
            remedy=f"Choose one of: {', '.join(scores)}.",
        )
    return comparison.objective(aim, outcome.summary)


def _key_and_value(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+~").partition("=")
    return key, value
