"""The same rows in every format: real tables, made small in a folder."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa

from imagepipe.config import Dataset
from imagepipe.sink.webdataset import shard

ROWS = [{"id": f"{n:02d}", "what": f"a thing, {n}", "size": n} for n in range(1, 13)]
HALF = len(ROWS) // 2
TEXT = pa.table({name: [row[name] for row in ROWS] for name in ROWS[0]})


def asked(folder: Path, format: str) -> Dataset:
    """ROWS in `folder`, which is empty, and the section that reads them."""
    path, read = MAKERS[format](folder)
    named = {"name": format, "format": format, "path": str(path), "read": read}
    return Dataset(**named, id="id", prompt="{what}")


def _csv(folder: Path, delimiter: str = ",") -> tuple[Path, dict[str, Any]]:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    (folder / "t.csv").write_text(text.getvalue())
    return folder / "t.csv", {}


def _tsv(folder: Path) -> tuple[Path, dict[str, Any]]:
    path, read = _csv(folder, "\t")
    return path.rename(folder / "t.tsv"), read


def _sql(folder: Path) -> tuple[str, dict[str, Any]]:
    with sqlite3.connect(folder / "t.db") as connection:
        connection.execute("CREATE TABLE things (id TEXT PRIMARY KEY, what TEXT, size INTEGER)")
        rows = [tuple(row.values()) for row in reversed(ROWS)]
        connection.executemany("INSERT INTO things VALUES (?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{folder / 't.db'}", {"table": "things"}


def _lance(folder: Path) -> tuple[Path, dict[str, Any]]:
    import lance

    lance.write_dataset(TEXT.slice(0, HALF), folder / "t.lance")
    lance.write_dataset(TEXT.slice(HALF), folder / "t.lance", mode="append")
    return folder / "t.lance", {}


def _delta(folder: Path) -> tuple[Path, dict[str, Any]]:
    """With a row that was removed, whose file is still there."""
    import deltalake

    gone = pa.table({"id": ["99"], "what": ["gone"], "size": [99]})
    deltalake.write_deltalake(folder / "t", gone)
    for part in (TEXT.slice(0, HALF), TEXT.slice(HALF)):
        deltalake.write_deltalake(folder / "t", part, mode="append")
    deltalake.DeltaTable(folder / "t").delete("id = '99'")
    return folder / "t", {}


def _iceberg(folder: Path) -> tuple[str, dict[str, Any]]:
    table = iceberg(folder, "things")
    table.append(TEXT.slice(0, HALF - 2))
    table.append(TEXT.slice(HALF - 2))
    return table.location(), {}


def iceberg(folder: Path, name: str, catalog: str = "t") -> Any:
    """A new table `db.NAME` of ROWS' columns, in a catalog that pyiceberg keeps in `folder`."""
    known = _catalog(folder, catalog)
    known.create_namespace_if_not_exists("db")
    return known.create_table(f"db.{name}", TEXT.schema)


def load_iceberg(folder: Path, name: str) -> Any:
    return _catalog(folder, "t").load_table(f"db.{name}")


def _catalog(folder: Path, name: str) -> Any:
    from pyiceberg.catalog import load_catalog

    where = {"uri": f"sqlite:///{folder / 'catalog.db'}", "warehouse": f"file://{folder}"}
    return load_catalog(name, type="sql", **where)


def _huggingface(folder: Path) -> tuple[Path, dict[str, Any]]:
    import datasets

    whole = datasets.Dataset(TEXT)
    datasets.DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(folder / "t")
    return folder / "t", {"split": "train"}


def _parquet(folder: Path) -> tuple[Path, dict[str, Any]]:
    import pyarrow.parquet as pq

    pq.write_table(TEXT, folder / "t.parquet")
    return folder / "t.parquet", {}


def _json(folder: Path) -> tuple[Path, dict[str, Any]]:
    (folder / "t.json").write_text(json.dumps(ROWS, indent=1))
    return folder / "t.json", {}


def _jsonl(folder: Path) -> tuple[Path, dict[str, Any]]:
    (folder / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return folder / "t.jsonl", {}


def _webdataset(folder: Path) -> tuple[Path, dict[str, Any]]:
    """As a run's own sink writes it."""
    places = pa.array([f"images/{row['id']}.png" for row in ROWS])
    whole = TEXT.append_column("image_path", places)
    (folder / "t.tar").write_bytes(shard(whole, [b"\x89PNG"] * len(ROWS)))
    return folder / "t.tar", {}


MAKERS = {
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "webdataset": _webdataset,
    "sql": _sql,
    "lance": _lance,
    "delta": _delta,
    "iceberg": _iceberg,
    "huggingface": _huggingface,
}
