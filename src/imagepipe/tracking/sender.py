"""From journal events to MLflow calls. Sending the same journal twice changes nothing."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imagepipe.tracking.address import Address
from imagepipe.tracking.journal import Event, Journal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput
    from PIL.Image import Image

log = logging.getLogger(__name__)

RUN_TAG = "imagepipe.run"  # our id of the run, by which a replay finds it again
TABLE = "pictures.json"
PARAM_LIMIT, TAG_LIMIT = 6000, 8000  # characters; mlflow.utils.validation
RUN_NAME_LIMIT = 250  # characters; SqlRun in mlflow.store.tracking.dbmodels.models
EVENTS_PER_BATCH = 60  # an event has about 12 values, and a request takes 1000
LOCK_TIMEOUT_S = 60.0  # another process making the database's schema takes 1 to 4 s

# Unbounded, a call to a server that is gone blocks for 248 s.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # s; a server on a busy machine may take 3
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")  # error codes that trying again won't mend
CHATTER = ("mlflow", "alembic")  # INFO lines of theirs say nothing about the run


@dataclass
class Sender:
    """Sends the events of `journal`, in order, from where it last got to.

    `run_id` and `experiment_id` are null until the store has answered. Not thread-safe: one
    thread at a time calls `drain`.
    """

    address: Address
    journal: Journal
    run_id: str | None = None
    experiment_id: str | None = None
    offset: int = 0
    _client: MlflowClient | None = None
    _warned: set[str] = field(default_factory=set)

    def drain(self) -> None:
        """Send what is new. Raises what MLflow raises when the store is away; call it again."""
        for events, offset in _batches(self.journal.read(self.offset)):
            self._send(events)
            self.offset = offset

    @property
    def url(self) -> str | None:
        if self.run_id is None or self.experiment_id is None:
            return None
        return self.address.link(self.experiment_id, self.run_id)

    def _send(self, events: list[Event]) -> None:
        kind = events[0]["kind"]
        if kind == "start":
            self._open(events[0])
            steps = self._start_steps(events[0])
        elif kind == "metrics":
            steps = [lambda: self._metrics(events)]
        else:
            steps = self._finish_steps(events[0])
        for step in steps:
            self._attempt(kind, step)

    def _attempt(self, kind: str, step: Callable[[], Any]) -> None:
        """Do `step`; what MLflow refuses as such is said once and left out, not tried for ever."""
        from mlflow.exceptions import MlflowException
        from PIL import UnidentifiedImageError

        try:
            step()
        except (MlflowException, UnidentifiedImageError, UnicodeError) as error:
            if getattr(error, "error_code", "INVALID_PARAMETER_VALUE") not in REFUSALS:
                raise
            level = logging.DEBUG if kind in self._warned else logging.WARNING
            self._warned.add(kind)
            log.log(level, "MLflow refused a part of the run's %s: %s", kind, one_line(error))

    def _open(self, event: Event) -> None:
        """Connect, and find or make the experiment and the run."""
        self._client = self._client or connect(self.address)
        client = self._client
        experiment_id = self._experiment(client, event["experiment"])
        query = f"tags.`{RUN_TAG}` = '{event['run']}'"
        found = client.search_runs([experiment_id], query, max_results=1)
        run = found[0] if found else self._create(client, experiment_id, event)
        self.experiment_id, self.run_id = experiment_id, run.info.run_id
        if run.info.status != "RUNNING":  # the run is being resumed, or its journal replayed
            client.update_run(self.run_id, status="RUNNING")

    def _experiment(self, client: MlflowClient, name: str) -> str:
        """The id of the experiment, made where there is none; LookupError where it was deleted."""
        from mlflow.exceptions import MlflowException

        if found := client.get_experiment_by_name(name):
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
        tags = {key: _cut(value, TAG_LIMIT) for key, value in event["tags"].items()}
        if parent := event.get("parent"):
            tags["mlflow.parentRunId"] = self._parent(client, parent)
        return client.create_run(
            experiment_id,
            start_time=event["time"],
            run_name=event["run_name"] and _cut(event["run_name"], RUN_NAME_LIMIT),
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

    def _start_steps(self, event: Event) -> list[Callable[[], Any]]:
        from mlflow.entities import Param

        client, run_id = self._connected()
        there = client.get_run(run_id).data.params  # they stay as they were when the run began
        new = {key: value for key, value in event["params"].items() if key not in there}
        params = [Param(key, _cut(value, PARAM_LIMIT)) for key, value in new.items()]
        inputs = [_dataset_input(dataset) for dataset in event["datasets"]]
        return [
            lambda: client.log_batch(run_id, params=params),
            lambda: client.log_inputs(run_id, inputs),
            lambda: client.log_text(run_id, event["config"], "config.yaml"),
        ]

    def _metrics(self, events: list[Event]) -> None:
        from mlflow.entities import Metric

        client, run_id = self._connected()
        metrics = [
            Metric(key, value, event["time"], event["step"])
            for event in events
            for key, value in event["values"].items()
        ]
        client.log_batch(run_id, metrics=metrics)

    def _finish_steps(self, event: Event) -> list[Callable[[], Any]]:
        client, run_id = self._connected()
        trouble = event.get("trouble")
        return [
            lambda: self._metrics([event]),
            *(lambda name=name: self._artifact(name) for name in event["artifacts"]),
            lambda: self._samples(event),
            lambda: self._table(event),
            lambda: event["note"] and client.set_tag(run_id, "mlflow.note.content", event["note"]),
            lambda: trouble and client.set_tag(run_id, "trouble", _cut(trouble, TAG_LIMIT)),
            lambda: client.set_terminated(run_id, event["status"], end_time=event["time"]),
        ]

    def _artifact(self, name: str) -> None:
        client, run_id = self._connected()
        path = self.journal.folder / name
        if path.is_file():
            client.log_artifact(run_id, str(path))
        elif not self.journal.is_open():  # a run that is gone on with writes it again at its end
            log.warning("MLflow does not get %s: it is no longer there", path)

    def _samples(self, event: Event) -> None:
        """Images under keys; MLflow gives each call a new file, so look what is there first."""
        client, run_id = self._connected()
        there = [file.path for file in client.list_artifacts(run_id, "images")]
        for number, sample in enumerate(event["samples"]):
            key = f"sample/{number:02d}"
            name = f"{key.replace('/', '~')}+step+0+timestamp+{event['time']}+"
            if not any(name in path and "+compressed" in path for path in there):
                image = _image(sample["png"])
                client.log_image(run_id, image, key=key, step=0, timestamp=event["time"])

    def _table(self, event: Event) -> None:
        """Exactly `prompt` and `image`: a third text column breaks the matrix of prompt by run."""
        client, run_id = self._connected()
        there = any(file.path == TABLE for file in client.list_artifacts(run_id))
        if there or not event["samples"]:
            return
        table = {
            "prompt": [sample["prompt"] for sample in event["samples"]],
            "image": [_image(sample["png"]) for sample in event["samples"]],
        }
        client.log_table(run_id, table, TABLE)

    def _connected(self) -> tuple[MlflowClient, str]:
        if self._client is None or self.run_id is None:
            raise RuntimeError(f"{self.journal.path} does not begin with a start")
        return self._client, self.run_id


def connect(address: Address) -> MlflowClient:
    """A quiet client with bounded waits. Creates the database's schema, under a file lock."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    if not log.isEnabledFor(logging.DEBUG):
        for name in CHATTER:
            logging.getLogger(name).setLevel(logging.WARNING)
        # urllib3 warns at each retry; ours says once that the server is away.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    with _schema_lock(address):
        return MlflowClient(address.uri)


def one_line(error: BaseException, limit: int = 200) -> str:
    """The first words of an error that may be pages long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return _cut(text, limit)


def _schema_lock(address: Address) -> Any:
    """Processes that open a new sqlite file at once crash in MLflow's migration."""
    from filelock import FileLock

    path = address.sqlite_file
    return FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT_S) if path else nullcontext()


def _batches(events: Iterator[tuple[Event, int]]) -> Iterator[tuple[list[Event], int]]:
    """Neighbouring metrics events together, all others alone; with the offset after each."""
    batch: list[Event] = []
    end = 0
    for event, offset in events:
        joins = batch and event["kind"] == batch[-1]["kind"] == "metrics"
        if batch and not (joins and len(batch) < EVENTS_PER_BATCH):
            yield batch, end
            batch = []
        batch.append(event)
        end = offset
    if batch:
        yield batch, end


def _dataset_input(dataset: dict[str, Any]) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    path = dataset["path"]
    columns = [{"name": name, "type": "any"} for name in dataset["columns"]]
    entity = Dataset(
        name=_cut(dataset["name"], 500),
        digest=dataset["digest"][:36],
        source_type=urlsplit(path).scheme or "local",
        source=json.dumps({"uri": path, "format": dataset["format"]}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": dataset["rows"]}),
    )
    return DatasetInput(entity, tags=[InputTag("mlflow.data.context", "inference")])


def _image(png: str) -> Image:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(png)))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
