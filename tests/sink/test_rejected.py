"""Rows that are rejected: their own columns stay, and they can be fed in again as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.asked import dataset, written
from helpers.written import batch, writer

from imagepipe.execution.run import why_failed
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.rejected import why_columns
from imagepipe.sources import Tables, scan
from imagepipe.sources.blocks import scanned
from imagepipe.sources.read import judged
from imagepipe.store import Store

LATIN = b'{"id": "1", "what": "caf\xe9", "tags": ["caf\xe9", "tea"], "by": {"name": "Zo\xeb"}}\n'


def rejected(folder: Path, path: Path) -> tuple[Tables, pa.Table]:
    """A table, and its rows as a run leaves them that all failed while they were read."""
    tables = scan(dataset(path), None)
    columns = {tables.renamed.get(name, name): name for name in tables.input_columns}
    write = replace(
        writer(folder), why=why_failed(tables), id_column=tables.id, input_columns=columns
    )
    for rows in scanned(tables.left, tables.left.files[0], tables.left.schema.names):
        block = judged(rows, tables.left, tables.renamed, tables.id)
        others = batch(["x"] * block.num_rows)  # what stages add
        for name in others.column_names:
            if name not in (*block.column_names, "id", "what"):
                block = block.append_column(name, others[name])
        write(block)
    collect_rejected(Store(str(folder)))
    return tables, pq.read_table(folder / "failed.parquet")


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (["id", "what"], ("stage", "reason")),
        (["id", "stage"], ("failed_stage", "failed_reason")),
        (["id", "Reason"], ("failed_stage", "failed_reason")),
        (["stage", "failed_reason"], ("imagepipe_stage", "imagepipe_reason")),
    ],
)
def test_what_a_table_has_already_stays(columns: list[str], why: tuple[str, str]) -> None:
    assert why_columns(columns) == why


@pytest.mark.parametrize("name", ["stage", "reason", "failed_stage", "when"])
def test_a_column_of_that_name_comes_back_with_its_cells(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "t.csv", f"id,what,{name}\n,a,adult\n,b,young\n")
    _, failed = rejected(tmp_path / "out", path)
    assert failed[name].to_pylist() == ["adult", "young"]
    again, twice = rejected(tmp_path / "again", tmp_path / "out" / "failed.parquet")
    assert again.columns == ("id", "what", name)  # without those that say why
    assert twice.column_names == failed.column_names
    assert twice[name].to_pylist() == ["adult", "young"]


def cells(table: pa.Table) -> list[Any]:
    return [table[name].to_pylist() for name in ("what", "tags", "by")]


def as_jsonl(folder: Path) -> Path:
    return written(folder / "t.jsonl", LATIN)


def as_json(folder: Path) -> Path:
    return written(folder / "t.json", b"[" + LATIN.strip() + b"]")


def as_parquet(folder: Path) -> Path:
    """The same cells, in a file that says they are text."""

    def text(cells: list[bytes]) -> pa.Array:
        return pa.array(cells, pa.binary()).view(pa.string())

    tags = pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), text([b"caf\xe9", b"tea"]))
    by = pa.StructArray.from_arrays([text([b"Zo\xeb"])], ["name"])
    table = {"id": pa.array(["1"]), "what": text([b"caf\xe9"]), "tags": tags, "by": by}
    return written(folder / "t.parquet", table)


@pytest.mark.parametrize("write", [as_jsonl, as_json, as_parquet])
def test_bytes_in_lists_and_objects_come_back(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    _, failed = rejected(tmp_path / "out", write(tmp_path))
    held = [[b"caf\xe9"], [[b"caf\xe9", b"tea"]], [{"name": b"Zo\xeb"}]]
    assert cells(failed) == held
    _, again = rejected(tmp_path / "again", tmp_path / "out" / "failed.parquet")
    assert cells(again) == held


HALF = b"\xed\xb2\x80"  # the half U+DC80 of a pair, in three bytes


@pytest.mark.parametrize("frame", [("t.jsonl", b"%s"), ("t.json", b"[%s]")], ids=lambda f: f[0])
@pytest.mark.parametrize(
    ("what", "by", "held"),
    [
        (rb'"\udc80"', b'"\x80"', (HALF, b"\x80")),
        (b'"a\x80"', rb'"\ud83d"', (b"a\x80", b"\xed\xa0\xbd")),
        (b'"\\udc80\x80"', rb'"\\udc80"', (HALF + b"\x80", rb"\udc80")),
        ('"\U000f0080\\udc80"'.encode(), b'"\xff"', ("\U000f0080".encode() + HALF, b"\xff")),
        (b'"\xc3"', rb'["\udc80", "a"]', (b"\xc3", [HALF, b"a"])),
        (b'"\xc3"', b'["\\udc80", "\x80"]', (b"\xc3", [HALF, b"\x80"])),
    ],
)
def test_halves_of_pairs_and_broken_bytes_are_told_apart(
    tmp_path: Path, frame: tuple[str, bytes], what: bytes, by: bytes, held: tuple[Any, Any]
) -> None:
    line = b'{"id": "1", "what": %s, "by": %s}' % (what, by)
    path = written(tmp_path / frame[0], frame[1] % line)
    _, failed = rejected(tmp_path / "out", path)
    assert (_bytes(failed["what"][0].as_py()), _bytes(failed["by"][0].as_py())) == held
    _, again = rejected(tmp_path / "again", tmp_path / "out" / "failed.parquet")
    assert again.select(["what", "by"]) == failed.select(["what", "by"])


def _bytes(cell: Any) -> Any:
    return cell.encode() if isinstance(cell, str) else cell
