"""Tables that cannot be drawn from, each with what is wrong and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.asked import dataset, refused, written
from helpers.refusals import refusal

from imagepipe.config import Join
from imagepipe.errors import UserError
from imagepipe.prompts.template import plain
from imagepipe.sources import checks, multiply, scan
from imagepipe.sources.formats import csv_text, json
from imagepipe.sources.formats.arrow import ArrowFormat
from imagepipe.sources.unreadable import Unreadable
from imagepipe.store import open_url


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("delta", "is not a Delta table. Name the folder that holds _delta_log/."),
        ("lance", "is not a Lance table. Name the folder that holds _versions/."),
        ("iceberg", "is not an Iceberg table. Name the folder that holds metadata/."),
        ("huggingface", "is an empty folder. Name what save_to_disk wrote."),
    ],
)
def test_an_empty_folder_is_no_table(tmp_path: Path, format: str, said: str):
    assert str(refused(dataset(tmp_path, format))) == f"dataset.path={tmp_path}: {said}"


@pytest.mark.parametrize(
    ("path", "read", "said"),
    [
        ("", {}, "dataset.path=: names no table. Give one address or folder of sql."),
        (["a", "b"], {}, "names no table. Give one address or folder of sql."),
        (
            "nosuch://host/db",
            {"table": "t"},
            "names a kind of database that SQLAlchemy does not know: nosuch. "
            "Correct it, or install the package that adds it to SQLAlchemy.",
        ),
        (
            "sqlite:///{}/t.db",
            {"query": "PRAGMA synchronous = 1"},
            "dataset.read.query=PRAGMA synchronous = 1: gives no rows. Give one such as SELECT.",
        ),
    ],
    ids="empty list kind rows".split(),
)
def test_a_database(tmp_path: Path, path: Any, read: dict[str, str], said: str):
    sqlite3.connect(tmp_path / "t.db").close()
    asked = dataset("", "sql", read=read)
    asked.path = path.format(tmp_path) if isinstance(path, str) else path
    assert str(refused(asked)).endswith(said)


def test_two_columns_of_one_name(tmp_path: Path):
    table = pa.table([[1], ["a"], ["b"]], names=["id", "what", "what"])
    path = written(tmp_path / "t.parquet", table)
    assert str(refused(dataset(path))) == (
        f"dataset.path={path}: has several columns of the name 'what'. "
        "Give each column a name of its own."
    )


def test_text_with_a_nul_character(tmp_path: Path):
    path = written(tmp_path / "t.csv", b"id,what\n1,a\x00\n2\n")
    assert str(refused(dataset(path))) == (
        f"dataset.path={path}: has a NUL character in line 2, which is not text. "
        "Leave it out of the cell, or save the table as Parquet."
    )


def test_text_with_a_cell_that_is_too_large(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 16)
    path = written(tmp_path / "t.csv", "id," + "a" * 40 + "\n1,a\n")
    assert str(refused(dataset(path))).startswith(
        f"dataset.path={path}: has a cell of more than 0 MiB, or a quote that is never closed. "
    )


def test_values_that_do_not_fit_the_type_of_the_other_files():
    with pytest.raises(Unreadable) as caught:
        ArrowFormat().decode(pa.table({"n": ["x"]}), pa.schema({"n": pa.int64()}))
    assert caught.value.problem.startswith(
        "holds values in column 'n' that do not fit int64, which is its type in all files together"
    )
    assert caught.value.remedy == "Give the column one type in all files."


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (pa.list_(pa.int64()), "list<item: int64>"),
        (pa.struct({"a": pa.int64()}), "struct<a: int64>"),
        (pa.binary(), "binary"),
    ],
    ids=["list", "struct", "bytes"],
)
def test_a_setting_from_a_column_of_several_values(kind: pa.DataType, said: str):
    schema = pa.schema({"n": kind})
    assert refusal(checks.check_columns, {"steps": "n"}, schema) == (
        f"model.columns.steps=n: holds {said}, not text or numbers. "
        "Name a column with one value in each cell."
    )


@pytest.mark.parametrize("kind", [pa.uuid(), pa.binary(), pa.list_(pa.string())])
def test_a_template_with_a_column_that_has_no_text(kind: pa.DataType):
    said = refusal(checks.check_template, "dataset.prompt", plain("{n}"), pa.schema({"n": kind}))
    assert said.startswith("dataset.prompt={n}: names 'n', which holds ")
    assert said.endswith(", not text. Use columns of text or numbers.")


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (["a cat", "a dog"], "a cat"),
        (["", "-1"], None),
        (["x", "7"], None),
        (["7", "007"], None),
        ([7, 0], None),
        ([1.5, -1.0], "1.5"),
        ([None, None], None),
        ([True, False], "True"),
    ],
    ids=["texts", "empty", "one-good", "digits", "numbers", "halves", "none", "bools"],
)
@pytest.mark.parametrize("joined", [False, True], ids=["left", "right"])
def test_a_column_of_seeds_has_some(tmp_path: Path, cells: list[Any], bad: str | None, joined):
    left = {"id": ["1", "2"], "what": ["a", "b"]}
    asked = dataset(written(tmp_path / "l.parquet", left if joined else left | {"s": cells}))
    if joined:
        right = written(tmp_path / "r.parquet", {"id": ["1", "2"], "s": cells})
        asked.join = Join(path=str(right), on="id")
    if bad is None:
        scan(asked, None, {"seed": "s"})
        return
    with pytest.raises(UserError) as caught:
        scan(asked, None, {"seed": "s"})
    assert str(caught.value) == (
        f"model.columns.seed=s: holds no seed in its first 2 rows, but {bad!r}; a seed is a whole "
        "number from 0 to 9223372036854775807. Name a column of such numbers, or leave it out: "
        "the run's seed and the id then make each row's."
    )


def test_the_ids_of_repeated_rows_decide_nothing(tmp_path: Path):
    path = written(tmp_path / "t.csv", "id,what\n1,a\n")
    tables = scan(dataset(path, repeat=2), None)
    assert refusal(multiply.check, tables, 10, {"seed": "id"}) == (
        "model.columns.seed=id: is the column of the ids, which get a number each where rows are "
        "repeated or crossed. Name another column here, or as dataset.id."
    )


def test_repeated_rows_of_one_seed_each():
    assert str(multiply.alike(4, "s")) == (
        "dataset.repeat=4: column 's' gives each row one seed, and the prompt has no choices: the "
        "pictures of a row would be the same. "
        "Leave one of the two out: dataset.repeat, or seed in model.columns."
    )


def test_an_array_that_is_too_large_to_be_read_as_a_whole(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(json, "MOST_BYTES", 16)
    path = written(tmp_path / "t.json", '[{"id": "1", "what": "a"}]')
    assert str(refused(dataset(path, "json"))) == (
        f"dataset.path={path}: is an array of more than 0 GiB, which is read as a whole. "
        "Save it as JSON lines, an object a line, and set format=jsonl."
    )


def test_an_address_that_cannot_be_reached():
    assert refusal(open_url, "dataset.path", "hdfs://nowhere:1/t.csv").startswith(
        "dataset.path=hdfs://nowhere:1/t.csv: cannot be reached ("
    )


@pytest.mark.parametrize("name", [b"z\xf0name", b"\xe9t\xe9\xffxy", b"zqna\xc3("])
def test_a_column_whose_name_is_no_text(tmp_path: Path, name: bytes):
    table, file = pa.table({"id": ["1"], "zqname": ["a"]}), tmp_path / "t.parquet"
    pq.write_table(table, file)
    file.write_bytes(file.read_bytes().replace(b"zqname", name))
    said = str(refused(dataset(file, "parquet")))
    assert said.startswith(f"dataset.path={file}: cannot be read: 'utf-8' codec can't decode")
