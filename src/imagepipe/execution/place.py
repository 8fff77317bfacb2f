"""The table of existing pictures: that of a run, or a new one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.config import Config, recorded
from imagepipe.errors import UserError
from imagepipe.execution import manifest
from imagepipe.sink import sweeps
from imagepipe.sink.lock import RunLock, acquire, leaving_nothing
from imagepipe.sink.parts import written_parts
from imagepipe.sources.pictures import Existing
from imagepipe.store import Store

MADE = ".pictures"  # in a folder whose table is made of other pictures: all of it is there


@dataclass(frozen=True)
class Place:
    """The table that gets the columns: `folder` has the summary, `store` the parts.

    `run` is the configuration of the run that drew the pictures; null for others. `id` is that of
    the lock; `id_column` identifies a row.
    """

    folder: Path
    store: Store
    id: str
    id_column: str
    run: Config | None


@contextmanager
def opened(target: str, out: Path, existing: Existing) -> Iterator[tuple[Place, RunLock]]:
    """The place, locked for writing. Raises UserError if another command has it."""
    folder = Path(target).expanduser().absolute()
    if (folder / manifest.RECORD).exists():
        place = _of_run(folder)
        with acquire(folder, place.store, place.id) as lock:
            yield place, lock
        return
    if (folder / sweeps.RECORD).exists():
        raise UserError(
            field="score",
            value=folder,
            problem="is a sweep; each of its jobs has a table",
            remedy=f"Name one of them, such as {folder / '0'}",
        )
    store = Store.of(None, out)
    with leaving_nothing("--out", out), acquire(out, store, uuid.uuid4().hex, new=True) as lock:
        before = store.exists(MADE)
        make(store, existing)
        try:
            yield Place(out, store, "", "id", None), lock
        except UserError:  # refused: nothing of it stays
            if not before:
                store.remove_folder("table")
                store.remove(MADE)
            raise


def _of_run(folder: Path) -> Place:
    record = manifest.read(folder)
    run = recorded(record.config)
    home = manifest.home(record.cwd, record.place, folder)
    run = replace(run, outputs=str(home / run.outputs))
    store, id_column = _table(folder, record)
    if not written_parts(store):
        raise UserError(
            field="score",
            value=folder,
            problem="is a run that has no pictures",
            remedy="Name another run.",
        )
    return Place(folder, store, record.id, id_column, run)


def table_of(folder: Path, field: str = "score") -> tuple[Store, str]:
    """The store with the table and pictures of a finished run, and its column of ids."""
    return _table(folder, manifest.read(folder), field)


def _table(folder: Path, record: manifest.Record, field: str = "score") -> tuple[Store, str]:
    said = summary_of(folder, field)
    id_column = (said.get("samples") or {}).get("id", record.config["dataset"]["id"])
    return Store.of(said.get("store"), folder), id_column


def summary_of(folder: Path, field: str = "score") -> dict[str, Any]:
    """The summary of a run. Raises UserError, which names `field`, if it has not ended."""
    try:
        found: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(
            field=field,
            value=folder,
            problem="is a run that has not ended",
            remedy=f"Wait until it ends; if it was killed: resume={folder}",
        ) from None
    return found


def make(store: Store, existing: Existing) -> None:
    """Make a table of the pictures, like that of a run. It can be killed at any moment and
    repeated.

    Raises UserError if there is another table, or if there are no pictures.
    """
    source = asdict(existing) | {"path": str(Path(existing.path).expanduser().absolute())}
    made = json.loads(store.read(MADE)) if store.exists(MADE) else None
    if made is None and written_parts(store):
        raise _another(store, "a table")
    if made is not None and made["of"] != source:
        raise _another(store, f"the scores of {shown(made['of'])}")
    if made is not None and made["whole"]:
        return
    number = -1
    for number, block in enumerate(existing.blocks()):
        if number == 0:
            store.write(MADE, json.dumps({"of": source, "whole": False}).encode())
        sink = pa.BufferOutputStream()
        pq.write_table(block, sink, compression="zstd")
        store.write(f"table/part-{number:06d}.parquet", sink.getvalue().to_pybytes())
    if number < 0:
        raise UserError(
            field="score",
            value=existing.path,
            problem="holds no picture",
            remedy="Name another place.",
        )
    store.write(MADE, json.dumps({"of": source, "whole": True}).encode())


def called(store: Store) -> str:
    """The place of the pictures from which the table was made."""
    return shown(json.loads(store.read(MADE))["of"])


def shown(source: dict[str, Any]) -> str:
    options = [f"--{name}={source[name]}" for name in ("prompt", "image") if source[name]]
    return " ".join([source["path"], *options])


def _another(store: Store, what: str) -> UserError:
    return UserError(
        field="--out",
        value=store.url,
        problem=f"already holds {what}",
        remedy="Name another folder.",
    )
