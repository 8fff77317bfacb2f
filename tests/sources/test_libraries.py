"""Tables that libraries of their own read: what is refused of each, before anything starts."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers import tables_of
from helpers.asked import dataset, prompts_of, refused, written

from imagepipe.config import Dataset
from imagepipe.config.formats import FORMATS
from imagepipe.sources import scan

EXTRAS = {name: line for name, line in FORMATS.items() if line.package}
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""
SCAN_ALL = """
import json, sys
from imagepipe.config import Dataset
from imagepipe.errors import UserError
from imagepipe.sources import scan

for name in sys.argv[1:]:
    try:
        scan(Dataset(name="t", path="x", format=name, id="id", prompt="{what}"), None)
    except UserError as error:
        print(json.dumps([error.field, error.value, error.problem, error.remedy]))
"""


def test_a_library_that_is_missing_is_named_with_the_command_that_adds_it(tmp_path: Path) -> None:
    names = [line.package for line in EXTRAS.values()]
    (tmp_path / "sitecustomize.py").write_text(BLOCKED.format(names=names))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SCAN_ALL, *EXTRAS],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(field, value) for field, value, _, _ in said] == [
        ("dataset.format", name) for name in EXTRAS
    ]
    for (_, _, problem, remedy), line in zip(said, EXTRAS.values(), strict=True):
        assert f"is read with {line.package}, which cannot be imported" in problem
        assert remedy == f"Install it: pip install 'imagepipe[{line.extra}]'."


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """One table of each such format."""
    made = {}
    for name in EXTRAS:
        made[name] = tables_of.asked(tmp_path_factory.mktemp(name), name)
    return made


@pytest.mark.parametrize(
    ("format", "read", "words"),
    [
        ("delta", {"version": 99}, "version=99: is not a version of the table. Its newest is 3"),
        ("lance", {"version": 99}, "version=99: is not a version of the table. Its newest is 2"),
        ("lance", {"version": "new"}, "version=new: is of another type. It takes a whole number"),
        ("iceberg", {"snapshot_id": 7}, "snapshot_id=7: is not a snapshot of the table"),
        (
            "iceberg",
            {"snapshots": 7},
            'is not an option of the format iceberg. Did you mean "snapshot',
        ),
        ("huggingface", {}, "split=None: is needed: the data set has several. Name one of them: t"),
        (
            "huggingface",
            {"split": "trian"},
            'is not a split of the data set. Did you mean "train"?',
        ),
        ("sql", {"table": "thing"}, 'is not a table of the database. Did you mean "things"?'),
        ("sql", {"table": "other.things"}, "is not a table of the database"),
        ("sql", {}, "or read.query, one of the two, says what is read. Tables: things."),
        ("sql", {"table": "things", "query": "SELECT 1"}, "one of the two"),
        ("sql", {"query": "SELECT * FROM thing"}, "refused by the database: no such table: thing"),
        ("sql", {"query": "SELEC 1"}, 'refused by the database: near "SELEC": syntax error'),
        ("sql", {"query": "DELETE FROM things"}, "attempt to write a readonly database"),
        ("sql", {"query": "SELECT id, id FROM things"}, "several columns of the name 'id'"),
        ("sql", {"query": "SELECT id FROM things"}, "names 'what', which is not a column"),
        ("sql", {"query": "SELECT * FROM things WHERE size > 99"}, "has no rows"),
        (
            "sql",
            {"table": "things", "password_env": "NOT_SET"},
            "is not a variable of the environment",
        ),
        (
            "delta",
            {"columns": ["id", "waht"]},
            "columns=waht: is not a column of the table. Did you",
        ),
    ],
)
def test_options_that_the_table_does_not_fit(
    tables: dict[str, Dataset], format: str, read: dict[str, Any], words: str
) -> None:
    asked = tables[format]
    error = refused(Dataset(**{**vars(asked), "read": read}))
    assert words in str(error)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("format", EXTRAS)
@pytest.mark.parametrize("kind", ["nothing", "folder", "file"])
def test_a_place_that_holds_no_such_table(tmp_path: Path, format: str, kind: str) -> None:
    if (format, kind) == ("huggingface", "folder"):
        pytest.skip("`datasets` takes a folder of CSV for a data set")
    place = tmp_path / "t"
    if kind == "folder":
        written(place / "t.csv", "id,what\n1,a\n")
    elif kind == "file":
        written(place, "id,what\n1,a\n")
    path = f"sqlite:///{place}" if format == "sql" else str(place)
    error = refused(dataset(path, format, read={"table": "t"} if format == "sql" else {}))
    assert error.field == "dataset.path"
    assert error.remedy
    assert list(tmp_path.iterdir()) == ([] if kind == "nothing" else [place])


@pytest.mark.parametrize(
    ("format", "file", "content"),
    [
        ("delta", "_delta_log/00000000000000000000.json", '{"add": {}}'),
        ("delta", "_delta_log/00000000000000000000.json", "no json"),
        ("lance", "_versions/1.manifest", "no manifest"),
        ("iceberg", "metadata/v1.metadata.json", "{}"),
        ("iceberg", "metadata/v1.metadata.json", "no json"),
        ("huggingface", "state.json", "{}"),
        ("huggingface", "dataset_dict.json", "no json"),
    ],
)
def test_a_table_that_is_broken(tmp_path: Path, format: str, file: str, content: str) -> None:
    written(tmp_path / "t" / file, content)
    error = refused(dataset(str(tmp_path / "t"), format))
    assert (error.field, error.value) == ("dataset.path", str(tmp_path / "t"))
    assert format in error.problem.lower()


def test_an_iceberg_table_of_two_newest_states(tmp_path: Path) -> None:
    for name in ("00001-a", "00002-b", "00002-c"):
        written(tmp_path / "t" / "metadata" / f"{name}.metadata.json", "{}")
    error = refused(dataset(str(tmp_path / "t"), "iceberg"))
    assert (
        "has several newest versions: 00002-b.metadata.json, 00002-c.metadata.json" in error.problem
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("postgresql://me:hunter2@host/db", "contains a password"),
        ("mysql://me@host/db?password=hunter2", "contains a password"),
        ("mssql+pyodbc://?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2", "contains a password"),
        ("nothing like it", "is not an address of a database"),
        ("oracool://host/db", "a kind of database that SQLAlchemy does not know: oracool"),
        ("sqlite:///", "is not there"),
    ],
)
def test_addresses_of_databases(path: str, words: str) -> None:
    named = {"name": "t", "path": path, "format": "sql", "read": {"table": "t"}}
    error = refused(Dataset(**named, id="id", prompt="{what}"))
    assert words in str(error)
    assert "hunter2" not in str(error)


def test_cells_of_a_database_that_holds_them_to_no_type(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t#1.db") as connection:
        connection.execute("CREATE TABLE t (id, what, size, blob)")
        rows = [(1, "a", 1, b"\xff"), ("2b", 3.0, None, None), (3, b"caf\xc3\xa9", 2.5, b"x")]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    connection.close()
    path = f"sqlite:///{tmp_path / 't#1.db'}"
    asked = dataset(path, "sql", read={"table": "t"}, prompt="{what} {size}")
    assert scan(asked, None).first_ids == ("1", "2b", "3")
    assert prompts_of(asked) == ["a 1", None, "café 2.5"]
    assert scan(asked, None).left.schema.field("blob").type == pa.binary()


CATALOG = """
from imagepipe.config import Dataset
from imagepipe.sources import scan

named = {"name": "t", "format": "iceberg", "path": "db.things", "read": {"catalog": "mine"}}
print(scan(Dataset(**named, id="id", prompt="{what}"), None).rows)
"""


def test_an_iceberg_table_by_its_metadata_and_of_a_catalog(tmp_path: Path) -> None:
    table = tables_of.iceberg(tmp_path, "things", catalog="mine")
    table.append(tables_of.TEXT)
    assert scan(dataset(table.metadata_location, "iceberg"), None).rows == len(tables_of.ROWS)
    named = {"URI": f"sqlite:///{tmp_path / 'catalog.db'}", "TYPE": "sql"}
    done = subprocess.run(
        [sys.executable, "-c", CATALOG],
        capture_output=True,
        text=True,
        env=os.environ | {f"PYICEBERG_CATALOG__MINE__{name}": text for name, text in named.items()},
    )
    assert done.stdout == "12\n", done.stderr


def test_a_folder_that_datasets_reads_as_it_reads_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for split in ("train", "test"):
        written(tmp_path / "d" / f"{split}.csv", f"id,what\n1,a {split}\n")
    asked = dataset(tmp_path / "d", "huggingface", read={"split": "test"})
    assert prompts_of(asked) == ["a test"]
    assert scan(asked, None).features["what"]["_type"] == "Value"
    assert 'is not a split of the data set. Did you mean "train"' in str(
        refused(dataset(tmp_path / "d", "huggingface", read={"split": "trian"}))
    )
    error = refused(dataset(tmp_path / "d", "huggingface", read={"split": "test", "config": "x"}))
    assert "config=x: is none of the data set's configurations. Name one of them: default" in str(
        error
    )
