"""The files of a run: sent beside its metrics, which never wait for a slow or full store."""

from __future__ import annotations

import base64
import io
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from imagepipe.tracking.failures import OwnDisk
from imagepipe.tracking.journal import Event
from imagepipe.tracking.lane import Lane, Step
from imagepipe.tracking.sender import Sender

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

CONFIG, TABLE = "config.yaml", "pictures.json"


class Artifacts(Lane):
    """Sends the files, sample pictures and table of the run that `sender` opens."""

    def __init__(self, sender: Sender) -> None:
        super().__init__(sender.journal)
        self._sender = sender
        self._own_disk: OwnDisk | None = None

    def drain(self) -> None:
        if self._sender.run_id is not None:
            super().drain()

    def steps(self, events: list[Event]) -> Iterator[Step]:
        event = events[0]
        if event["kind"] == "start":
            yield CONFIG, lambda: self._config(event["config"])
        elif event["kind"] == "finish":
            for name in event["artifacts"]:
                yield name, partial(self._file, name)
            yield "sample pictures", lambda: self._samples(event)
            yield "table of pictures", lambda: self._table(event)

    def _config(self, text: str) -> None:
        """The run's first file, which also shows whether files come to where the server is."""
        client, run_id = self._sender.connected()
        folder = self._local_folder()
        if folder is None:
            client.log_text(run_id, text, CONFIG)
            return
        try:
            client.log_text(run_id, text, CONFIG)
        except OSError as error:
            self._own_disk = OwnDisk(folder, error.strerror or str(error))
        else:
            if not _server_has(self._sender.address.uri, run_id, CONFIG):
                with suppress(OSError):
                    os.remove(os.path.join(folder, CONFIG))
                    os.removedirs(folder)
                self._own_disk = OwnDisk(folder, "which is not a folder of this machine")
        self._check_disk()

    def _local_folder(self) -> str | None:
        """The folder that a server names for the run's artifacts, where it does not take them."""
        client, run_id = self._sender.connected()
        place = urlsplit(client.get_run(run_id).info.artifact_uri)
        local = self._sender.address.is_server and place.scheme in ("", "file")
        return unquote(place.path) if local else None

    def _check_disk(self) -> None:
        if self._own_disk:
            raise self._own_disk

    def _file(self, name: str) -> None:
        self._check_disk()
        client, run_id = self._sender.connected()
        path = self.journal.folder / name
        if path.is_file():
            client.log_artifact(run_id, str(path))
        elif not self.journal.is_open():  # a run that is resumed writes it again at its end
            log.warning("MLflow does not get %s: it is no longer there", path)

    def _samples(self, event: Event) -> None:
        """Images under keys; MLflow gives each call a new file, so see what is there first."""
        self._check_disk()
        client, run_id = self._sender.connected()
        there = self._listed("images")
        for number, sample in enumerate(event["samples"]):
            key = f"sample/{number:02d}"
            name = f"{key.replace('/', '~')}+step+0+timestamp+{event['time']}+"
            if not any(name in path and "+compressed" in path for path in there):
                image = _image(sample["png"])
                client.log_image(run_id, image, key=key, step=0, timestamp=event["time"])

    def _listed(self, folder: str) -> list[str]:
        """What lies in a folder of the run's artifacts.

        By its address: by the run's id MLflow asks for logged models too, which a server of
        MLflow 2 does not know.
        """
        from mlflow.artifacts import list_artifacts

        client, run_id = self._sender.connected()
        place = f"{client.get_run(run_id).info.artifact_uri.rstrip('/')}/{folder}"
        found = list_artifacts(artifact_uri=place, tracking_uri=self._sender.address.uri)
        return [file.path for file in found]

    def _table(self, event: Event) -> None:
        """Exactly `prompt` and `image`: a third text column breaks the matrix of prompt by run."""
        self._check_disk()
        client, run_id = self._sender.connected()
        there = any(file.path == TABLE for file in client.list_artifacts(run_id))
        if there or not event["samples"]:
            return
        table = {
            "prompt": [sample["prompt"] for sample in event["samples"]],
            "image": [_image(sample["png"]) for sample in event["samples"]],
        }
        client.log_table(run_id, table, TABLE)


def _server_has(uri: str, run_id: str, name: str) -> bool:
    """Whether the server itself sees the artifact, as its own pages ask for it."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(
        get_default_host_creds(uri),
        "/api/2.0/mlflow/artifacts/list",
        "GET",
        params={"run_id": run_id},
    )
    return any(file["path"] == name for file in answer.json().get("files", []))


def _image(png: str) -> Image:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(png)))
