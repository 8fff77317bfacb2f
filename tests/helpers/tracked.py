"""A tracked run without its rows: begun, ended, and what MLflow has of it."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

from helpers.asking import shared
from PIL import Image

from imagepipe import tracking
from imagepipe.config import Tracking
from imagepipe.sink.results import Picture
from imagepipe.tracking.address import resolve
from imagepipe.tracking.sender import connect

SUMMARY = {
    "rows_read": 12,
    "written": 10,
    "failed": 2,
    "images_per_s": {"end_to_end": 2.5, "steady": 4.0},
    "stages": {"llm": {"rows_per_s": 7.0, "utilisation": 0.5}},
    "versions": {"torch": "2.13.0"},
    "reasons": {"<b>odd</b> text": 2},
    "complete": True,
    "time_to_first_image_s": None,
}


def picture(number: int) -> Picture:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (20 * number, 90, 160)).save(buffer, "PNG")
    return Picture(str(number), f"cat {number}", f"a cat, {number}", number, buffer.getvalue())


PICTURES = [picture(number) for number in range(10)]


def config(**values) -> Tracking:
    given = {"name": "mlflow", "backend": "mlflow", "system_metrics": False, "samples": 3}
    return Tracking(**{**given, **values})


def with_database(folder: Path, name: str = "mlflow.db") -> Path:
    """`folder`, made, with a database in which nothing is recorded yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(_database())
    return folder


@cache
def _database() -> bytes:
    """What MLflow takes seconds to make: once for all processes of pytest."""
    return (shared("databases", _make, "new") / "mlflow.db").read_bytes()


def _make(_: str, folder: Path) -> None:
    folder.mkdir()
    connect(resolve(config(), folder))


def begin(outputs: Path, name: str, settings: Tracking, **values) -> tracking.Tracker:
    folder = outputs / name
    folder.mkdir(exist_ok=True)
    table = tracking.DatasetInfo(
        "animals", "s3://me:secret@shop/animals.csv", "csv", 12, ("id", "animal"), "d1"
    )
    given = {
        "params": {"model": "tiny"},
        "tags": {"kind": "test"},
        "datasets": [table],
        "config_yaml": "seed: 0\n",
    }
    return tracking.start(settings, outputs=outputs, folder=folder, **{**given, **values})


def finish(run: tracking.Tracker, folder: Path, status: tracking.Status = "FINISHED") -> None:
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    (folder / "gallery.html").write_text("<p>pictures")
    run.finish(status, SUMMARY, PICTURES, folder, "<b>12</b> rows of *cats*")


def client(outputs: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")


def files(store, run_id: str, path: str | None = None) -> list[str]:
    found = store.list_artifacts(run_id, path)
    return sorted(
        name
        for file in found
        for name in (files(store, run_id, file.path) if file.is_dir else [file.path])
    )
