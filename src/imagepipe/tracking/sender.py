"""Turns journal events into MLflow calls. Sending the same journal twice changes nothing."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imagepipe.tracking import moved
from imagepipe.tracking.address import PLATFORMS, Address, platform, plugins
from imagepipe.tracking.failures import cut, is_away
from imagepipe.tracking.journal import Event, Journal
from imagepipe.tracking.lane import Lane, Step

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Experiment

log = logging.getLogger(__name__)

RUN_TAG = "imagepipe.run"  # our id of the run, by which a replay finds it again
PARAM_LIMIT, TAG_LIMIT = 6000, 8000  # characters; mlflow.utils.validation
RUN_NAME_LIMIT = 250  # characters; SqlRun in mlflow.store.tracking.dbmodels.models
EXPERIMENT_ID = re.compile(r"\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # the last is Azure's
LOCK_TIMEOUT_S = 60.0  # another process making the database's schema takes 1 to 4 s

# Unbounded, a call to a server that is gone blocks for 248 s.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # s; a server on a busy machine may take 3
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# What they say of the run is said here, once: not at each try, and without a stack.
CHATTER = ("mlflow", "alembic", "urllib3.connectionpool")


class Sender(Lane):
    """Sends all that needs no artifact store: the run, its parameters, metrics, note and end.

    `run_id` and `experiment_id` are null until the store has answered.
    """

    def __init__(self, address: Address, journal: Journal) -> None:
        super().__init__(journal)
        self.address = address
        self.run_id: str | None = None
        self.experiment_id: str | None = None
        self._client: MlflowClient | None = None

    @property
    def url(self) -> str | None:
        if self.run_id is None or self.experiment_id is None:
            return None
        return self.address.link(self.experiment_id, self.run_id)

    def steps(self, events: list[Event]) -> Iterator[Step]:
        kind = events[0]["kind"]
        if kind == "start":
            self._open(events[0])  # nothing can be sent without a run, so whatever fails holds
            yield from self._start_steps(events[0])
        elif kind == "metrics":
            yield "metrics", lambda: self._metrics(events)
        else:
            yield from self._finish_steps(events[0])

    def connected(self) -> tuple[MlflowClient, str]:
        """The client, and the run's id."""
        if self._client is None or self.run_id is None:
            raise RuntimeError(f"{self.journal.path} does not begin with a start")
        return self._client, self.run_id

    def _open(self, event: Event) -> None:
        """Connect, and find or make the experiment and the run."""
        self._client = self._client or connect(self.address)
        client = self._client
        experiment_id = self._experiment(client, event["experiment"])
        query = f"tags.`{RUN_TAG}` = '{event['run']}'"
        found = client.search_runs([experiment_id], query, max_results=1)
        run = found[0] if found else self._create(client, experiment_id, event)
        if not (experiment_id and run.info.run_id):  # of {}, which any server may answer
            raise LookupError("it answers, but not as MLflow does: the run got no id")
        self.experiment_id, self.run_id = experiment_id, run.info.run_id
        if run.info.status != "RUNNING":  # the run is being resumed, or its journal replayed
            client.update_run(self.run_id, status="RUNNING")

    def _experiment(self, client: MlflowClient, name: str) -> str:
        """The id of the experiment that is called so, or has that id, made where there is none;
        LookupError where it was deleted.
        """
        from mlflow.exceptions import MlflowException

        if found := client.get_experiment_by_name(name) or _by_id(client, name):
            if found.lifecycle_stage == "deleted":  # restoring it brings its deleted runs back
                raise LookupError(
                    f"experiment {found.experiment_id} was deleted there; bring it back with "
                    "`MLFLOW_TRACKING_URI=ADDRESS mlflow experiments restore "
                    f"-x {found.experiment_id}`, or begin with another tracking.experiment"
                )
            return found.experiment_id
        try:
            return client.create_experiment(name, artifact_location=self.address.artifacts)
        except MlflowException:
            if found := client.get_experiment_by_name(name):  # another run was quicker
                return found.experiment_id
            raise

    def _create(self, client: MlflowClient, experiment_id: str, event: Event) -> Any:
        tags = {key: cut(value, TAG_LIMIT) for key, value in event["tags"].items()}
        if parent := event.get("parent"):
            tags["mlflow.parentRunId"] = self._parent(client, parent)
        return client.create_run(
            experiment_id,
            start_time=event["time"],
            run_name=event["run_name"] and cut(event["run_name"], RUN_NAME_LIMIT),
            tags={"mlflow.source.name": "imagepipe", **tags, RUN_TAG: event["run"]},
        )

    def _parent(self, client: MlflowClient, parent: dict[str, str]) -> str:
        """The id of the run to be nested in; raises LookupError while the store has it not yet."""
        found = client.search_runs(
            [self._experiment(client, parent["experiment"])],
            f"tags.`{RUN_TAG}` = '{parent['run']}'",
            max_results=1,
        )
        if not found:
            raise LookupError("the sweep's own run has not come there yet")
        return found[0].info.run_id

    def _start_steps(self, event: Event) -> list[Step]:
        return [
            ("parameters", lambda: self._params(event["params"])),
            ("dataset inputs", lambda: self._inputs(event["datasets"])),
        ]

    def _inputs(self, datasets: list[dict[str, Any]]) -> None:
        """Twice where it is refused: of two runs that bring a data set at one moment MLflow's store
        takes one, and the other finds it there. Taken twice it is there once.
        """
        from mlflow.exceptions import MlflowException

        client, run_id = self.connected()
        inputs = [_dataset_input(dataset) for dataset in datasets]
        try:
            client.log_inputs(run_id, inputs)
        except MlflowException as error:
            if is_away(error):
                raise
            client.log_inputs(run_id, inputs)

    def _params(self, params: dict[str, str]) -> None:
        from mlflow.entities import Param

        client, run_id = self.connected()
        there = client.get_run(run_id).data.params  # they stay as they were when the run began
        new = {key: value for key, value in params.items() if key not in there}
        given = [Param(key, cut(value, PARAM_LIMIT)) for key, value in new.items()]
        client.log_batch(run_id, params=given)

    def _metrics(self, events: list[Event]) -> None:
        from mlflow.entities import Metric

        client, run_id = self.connected()
        metrics = [
            Metric(key, value, event["time"], event["step"])
            for event in events
            for key, value in event["values"].items()
        ]
        client.log_batch(run_id, metrics=metrics)

    def _finish_steps(self, event: Event) -> Iterator[Step]:
        client, run_id = self.connected()
        note, trouble = event["note"], event.get("trouble")
        yield "metrics", lambda: self._metrics([event])
        if note:
            yield "note", lambda: client.set_tag(run_id, "mlflow.note.content", note)
        if trouble:
            yield "trouble", lambda: client.set_tag(run_id, "trouble", cut(trouble, TAG_LIMIT))
        ended = event["status"], event["time"]
        yield "end", lambda: client.set_terminated(run_id, ended[0], end_time=ended[1])


def _by_id(client: MlflowClient, id: str) -> Experiment | None:
    """The experiment as MLFLOW_EXPERIMENT_ID names it; null where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_experiment(id) if EXPERIMENT_ID.fullmatch(id) else None
    except MlflowException as error:
        if is_away(error):
            raise
        return None


def connect(address: Address) -> MlflowClient:
    """A quiet client with bounded waits. Creates the database's schema, under a file lock."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    name = platform(address.uri)
    if name and (package := PLATFORMS.get(name)) and name not in plugins():
        raise LookupError(f"MLflow opens {name}: by the package {package}, which is not installed")
    from mlflow import MlflowClient

    if not log.isEnabledFor(logging.DEBUG):
        for chatter in CHATTER:
            logging.getLogger(chatter).setLevel(logging.CRITICAL)
    with _schema_lock(address):
        client = MlflowClient(address.uri)
        if address.sqlite_file:
            moved.follow(address.sqlite_file)
        return client


def _schema_lock(address: Address) -> Any:
    """Processes that open a new sqlite file at once crash in MLflow's migration."""
    from filelock import FileLock

    path = address.sqlite_file
    return FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT_S) if path else nullcontext()


def _dataset_input(dataset: dict[str, Any]) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    path = dataset["path"]
    columns = [{"name": name, "type": "any"} for name in dataset["columns"]]
    entity = Dataset(
        name=cut(dataset["name"], 500),
        digest=dataset["digest"][:36],
        source_type=urlsplit(path).scheme or "local",
        source=json.dumps({"uri": path, "format": dataset["format"]}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": dataset["rows"]}),
    )
    return DatasetInput(entity, tags=[InputTag("mlflow.data.context", "inference")])
