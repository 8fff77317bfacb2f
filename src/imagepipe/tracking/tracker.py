"""The run's side of tracking: its calls, and the thread that sends them."""

from __future__ import annotations

import base64
import logging
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from imagepipe.config import Tracking
from imagepipe.config.secrets import without_secrets
from imagepipe.shell import python
from imagepipe.tracking import machine
from imagepipe.tracking.address import check, resolve
from imagepipe.tracking.artifacts import Artifacts
from imagepipe.tracking.failures import reason
from imagepipe.tracking.figures import figures, metric_name
from imagepipe.tracking.journal import DatasetInfo, Journal, Parent, Status
from imagepipe.tracking.markdown import markdown
from imagepipe.tracking.sender import TAG_LIMIT, Sender, connect
from imagepipe.tracking.worker import Worker

if TYPE_CHECKING:
    from imagepipe.sink.results import Picture

log = logging.getLogger(__name__)

ARTIFACTS = (
    "summary.json",
    "contact_sheet.png",
    "gallery.html",
    "comparison.html",
    "comparison.json",
    "comparison.png",
    "failed.parquet",
    "unmatched.parquet",
    "filtered.parquet",
)
FIRST_WAIT_S = 60.0  # longest that `run_id` waits for the store's first answer
FINISH_WAIT_S = 60.0  # longest that `finish` waits for what is still to be sent


class Tracker(Protocol):
    """What a run records. No method raises because a store is away.

    `run_id`, `experiment_id` and `url` wait for the store's first answer or failure, and are null
    while it has not answered. `url` is for the user: a link, or for a database file the command
    that serves it.
    """

    @property
    def run_id(self) -> str | None: ...
    @property
    def experiment_id(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def as_parent(self) -> Parent | None:
        """What the jobs of a sweep are told of its own run. Does not wait."""

    def sweep_links(self, sweep: str, order: str) -> list[tuple[str, str]]:
        """MLflow's views of the runs tagged `sweep`, best metric `order` first: (what, link)."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of this moment, under `step`."""

    def finish(
        self,
        status: Status,
        summary: Mapping[str, Any],
        pictures: Sequence[Picture],
        folder: Path,
        note: str | None,
    ) -> None:
        """End the run: the numbers of `summary`, files of `folder`, first pictures as samples.

        Metrics are the summary's own numbers, ``images_per_s/...``, ``llm/...``,
        ``stage/<name>/...`` and ``score/<scorer>/...``.
        `note` is plain text. Waits at most `FINISH_WAIT_S`; says how to send what is left.
        """


class NoTracking:
    """`tracking=none`: records nothing, and never imports MLflow."""

    run_id = experiment_id = url = as_parent = None

    def sweep_links(self, sweep: str, order: str) -> list[tuple[str, str]]:
        return []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        pass

    def finish(
        self,
        status: Status,
        summary: Mapping[str, Any],
        pictures: Sequence[Picture],
        folder: Path,
        note: str | None,
    ) -> None:
        pass


def start(
    config: Tracking,
    *,
    outputs: Path,
    folder: Path,
    params: dict[str, str],
    tags: dict[str, str],
    datasets: list[DatasetInfo],
    config_yaml: str,
    parent: Parent | None = None,
) -> Tracker:
    """Begin the record of the run in `folder`; a folder that has one already goes on with it.

    With a `parent` it is nested in that run, which has to be begun before.

    Raises UserError if the store cannot be right. Returns at once: connecting happens in the
    background, and a store that does not answer is warned of.
    """
    check(config, outputs)
    if config.backend == "none":
        return NoTracking()
    address, journal = resolve(config, outputs), Journal(folder.absolute())
    journal.append(
        "start",
        run=journal.run_key(),
        store=address.to_journal(journal.folder),
        experiment=config.experiment,
        run_name=config.run_name,
        params=params,
        tags=tags,
        datasets=[{**asdict(table), "path": without_secrets(table.path)} for table in datasets],
        config=config_yaml,
        parent=parent and asdict(parent),
    )
    return MlflowTracker(Sender(address, journal), config)


def preload(config: Tracking, outputs: Path) -> None:
    """Import MLflow and make the database's schema in the background: seconds that Ray also takes.

    `start` then finds both done. What goes wrong here goes wrong there again, and is told there.
    """
    if config.backend == "none":
        return

    def work() -> None:
        with suppress(Exception):
            connect(resolve(config, outputs))

    threading.Thread(target=work, daemon=True).start()


def is_open(folder: Path) -> bool:
    """Whether the record of the run in `folder` was begun and not ended."""
    return Journal(folder.absolute()).is_open()


class MlflowTracker:
    """Writes the journal at once, and lets two threads send it: the files have one of their own.

    Connecting takes seconds (MLflow's import, a new database's schema) that overlap with the
    run's own start; asking for `run_id` before that waits for the first answer.
    """

    def __init__(self, sender: Sender, config: Tracking) -> None:
        self._sender, self._journal, self._samples = sender, sender.journal, config.samples
        self._experiment = config.experiment
        self._step, self._repeated = 0, set[str]()
        self._closing = threading.Event()
        self._artifacts = Worker(Artifacts(sender), self._warn_of_files)
        self._records = Worker(sender, self._warn, then=self._artifacts.wake)
        if config.system_metrics:
            interval_s = config.system_metrics_interval_s
            threading.Thread(target=self._watch, args=[interval_s], daemon=True).start()

    @property
    def run_id(self) -> str | None:
        self._records.tried.wait(FIRST_WAIT_S)
        return self._sender.run_id

    @property
    def experiment_id(self) -> str | None:
        self._records.tried.wait(FIRST_WAIT_S)
        return self._sender.experiment_id

    @property
    def url(self) -> str | None:
        self._records.tried.wait(FIRST_WAIT_S)
        return self._sender.url

    @property
    def as_parent(self) -> Parent:
        return Parent(self._journal.run_key(), self._experiment)

    def sweep_links(self, sweep: str, order: str) -> list[tuple[str, str]]:
        experiment = self.experiment_id
        return self._sender.address.sweep_links(experiment, sweep, order) if experiment else []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._step = max(self._step, step)
        self._repeated |= values.keys()
        self._record(values, step)

    def finish(
        self,
        status: Status,
        summary: Mapping[str, Any],
        pictures: Sequence[Picture],
        folder: Path,
        note: str | None,
    ) -> None:
        numbers = dict(figures(summary))
        self._record({key: numbers.pop(key) for key in self._repeated & numbers.keys()}, self._step)
        self._journal.append(
            "finish",
            status=status,
            step=0,  # one value at step 0 makes bars that compare runs, at another step a dot
            values={metric_name(key): value for key, value in numbers.items()},
            artifacts=[name for name in ARTIFACTS if (folder / name).is_file()],
            samples=[_sample(picture) for picture in pictures[: self._samples]],
            trouble=summary.get("trouble"),
            note=note and markdown(note, TAG_LIMIT),
        )
        self._closing.set()
        until = time.monotonic() + FINISH_WAIT_S
        sent = [worker.close(until) for worker in (self._records, self._artifacts)]
        left = [*self._records.lane.left_out, *self._artifacts.lane.left_out]
        if left or not all(sent):
            log.warning(
                "MLflow does not have all of this run%s; send the rest later with: "
                "%s -m imagepipe track %s",
                f" (no {', '.join(left)})" if left else "",
                python(),
                shlex.quote(str(folder)),
            )

    def _record(self, values: Mapping[str, float], step: int) -> None:
        numbers = {metric_name(key): float(value) for key, value in values.items()}
        if numbers:
            self._journal.append("metrics", step=step, values=numbers)
            self._records.wake()

    def _warn(self, error: Exception) -> None:
        log.warning(
            "MLflow at %s does not accept the run (%s); it goes on, recorded in %s",
            self._sender.address.uri,
            reason(error),
            self._journal.path,
        )

    def _warn_of_files(self, error: Exception) -> None:
        if self._records.sent:  # else it is the same connection, of which it was said
            log.warning("MLflow does not take the run's files (%s); it goes on", reason(error))

    def _watch(self, interval_s: float) -> None:
        figures = machine.figures(self._closing, interval_s)
        for step, values in enumerate(figures, start=self._journal.system_steps()):
            self._record({f"system/{key}": value for key, value in values.items()}, step)


def _sample(picture: Picture) -> dict[str, str]:
    """By its base prompt, which jobs that differ in their LLM share: MLflow compares by it."""
    return {"prompt": picture.base_prompt, "png": base64.b64encode(picture.png).decode()}
