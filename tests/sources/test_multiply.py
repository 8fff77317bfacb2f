"""Rows repeated, and crossed with another table: ids, seeds, counts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.asked import dataset, refused, written
from helpers.one_session import run

from imagepipe.config import Join
from imagepipe.errors import UserError
from imagepipe.prompts import stage, varied
from imagepipe.prompts.seeds import row_seed
from imagepipe.sources import multiply, read, scan
from imagepipe.stages.stage import FAILED_REASON


def rows_of(asked, done: list[str] | None = None) -> list[dict[str, object]]:
    ids = None if done is None else pa.array(done)
    batches = read(scan(asked, None), done=ids).iter_batches(batch_format="pyarrow")
    return [row for batch in batches for row in batch.to_pylist()]


def test_rows_are_repeated_and_crossed_in_order(tmp_path: Path, ray_session: None):
    left = written(tmp_path / "l.parquet", {"id": [1, 2, None], "what": ["a cat", "a dog", "x"]})
    right = written(tmp_path / "r.csv", "style,n\nink,1\noil,2\nchalk,3\n")
    join = Join(path=str(right), format="csv", how="cross")
    asked = dataset(left, prompt="{what} in {style}", join=join, repeat=2)
    tables = scan(asked, None)
    assert (tables.rows, tables.first_ids[:4]) == (18, ("1-r0-j0", "1-r0-j1", "1-r0-j2", "1-r1-j0"))
    rows = rows_of(asked)
    good = [row for row in rows if row[FAILED_REASON] is None]
    wanted = [f"{id}-r{k}-j{j}" for id in (1, 2) for k in range(2) for j in range(3)]
    assert [row["id"] for row in good] == wanted
    assert [row["style"] for row in good] == ["ink", "oil", "chalk"] * 4
    assert [row["what"] for row in good] == ["a cat"] * 6 + ["a dog"] * 6
    assert [row[FAILED_REASON] for row in rows if row not in good] == ["column 'id' is empty"] * 6
    left_over = rows_of(asked, done=wanted[:-1])
    assert [row["id"] for row in left_over if row[FAILED_REASON] is None] == wanted[-1:]


def test_many_rows_come_in_parts(monkeypatch):
    rows = pa.table({"id": ["a", "b", "c"], "n": [1, 2, 3]})
    monkeypatch.setattr(multiply, "ROWS_AT_ONCE", 8)
    parts = list(multiply.several(rows, 4, "id"))
    assert [part.num_rows for part in parts] == [8, 4]
    whole = pa.concat_tables(parts)
    assert whole["id"].to_pylist() == [f"{id}-r{k}" for id in "abc" for k in range(4)]
    assert whole["n"].to_pylist() == [1] * 4 + [2] * 4 + [3] * 4


def test_rows_with_pictures_come_in_parts_that_fit_into_memory(monkeypatch):
    """Also the copies of a single row."""
    monkeypatch.setattr(multiply, "BYTES_AT_ONCE", 4000)
    rows = pa.table({"id": ["a", "b"], "picture": [bytes(1000)] * 2})
    parts = list(multiply.several(rows, 5, "id"))
    assert [part.num_rows for part in parts] == [3, 3, 3, 1]
    ids = [id for part in parts for id in part["id"].to_pylist()]
    assert ids == [f"{id}-r{k}" for id in "ab" for k in range(5)]
    [none] = multiply.several(rows.slice(0, 0), 5, "id")
    assert none.num_rows == 0


def test_ids_never_meet():
    """Not even those of rows that are called as others come out."""
    ids = ["a", "a-r0", "a-r0-r1"]
    made = multiply.first(ids, multiply.REPEAT, 3, 99)
    assert len(set(made)) == 9
    assert len({row_seed(1, id) for id in made}) == 9


@pytest.mark.parametrize("method", ["broadcast", "shuffle"])
def test_a_table_is_joined_by_the_id_that_rows_came_with(
    method: str, tmp_path: Path, ray_session: None
):
    left = written(tmp_path / "l.parquet", {"id": [1, 2, 3], "what": ["a", "b", "c"]})
    styles = written(tmp_path / "s.csv", "style\nink\noil\n")
    places = written(tmp_path / "p.csv", "id,place\n1,sea\n2.0,hill\n")
    cross = Join(path=str(styles), format="csv", how="cross")
    by_id = Join(path=str(places), format="csv", on="id", method=method)
    asked = dataset(left, prompt="{what} {place}", join=cross, more_joins=[by_id], repeat=2)
    rows = sorted(rows_of(asked), key=lambda row: str(row["id"]))
    numbers = ("r0-j0", "r0-j1", "r1-j0", "r1-j1")
    assert [row["id"] for row in rows] == [f"{id}-{n}" for id in (1, 2, 3) for n in numbers]
    assert [row["place"] for row in rows] == ["sea"] * 4 + ["hill"] * 4 + [None] * 4
    assert [row[FAILED_REASON] for row in rows[8:]] == ["p.csv has no id '3'"] * 4


def test_a_prompt_has_the_id_that_rows_came_with():
    """Also where it looks like one with a number behind; what is drawn goes by the whole."""
    ids = ["a cat-r0-j1", "fox-r1-r1-j0", None]
    work = stage(varied("{id}!"), {}, 1, "id", numbers=2).recipe()
    made = work(pa.table({"id": pa.array(ids, pa.string())}))
    assert made["base_prompt"] == ["a cat!", "fox-r1!", None]
    assert made["seed"][:2] == [row_seed(1, id) for id in ids[:2]]


def test_a_table_may_have_more_rows_than_are_made(tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what\n1,a\n2,b\n3,c\n")
    assert scan(dataset(left, most_rows=2), None).rows == 3


def test_a_crossed_table_has_no_column_of_the_other(tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what\n1,a\n")
    right = written(tmp_path / "r.csv", "id,style\n1,ink\n")
    error = refused(dataset(left, join=Join(path=str(right), format="csv", how="cross")))
    assert error.problem == "has columns that the left table has, too: id"
    assert error.remedy == "Rename them, or leave them out of one file; none is shared."


@pytest.mark.parametrize(
    ("more", "field", "said"),
    [
        (
            {"repeat": 400_000},
            "dataset.repeat",
            "would make 1,200,000 rows, and dataset.most_rows is 1,000,000",
        ),
        ({"join": {"how": "cross"}, "most_rows": 8}, "dataset.join.how", "would make 9 rows"),
        ({"join": {"how": "cross"}, "repeat": 10**6}, "dataset.repeat", "would make 9,000,000"),
        ({"join": {"how": "cross", "on": "n"}}, "dataset.join.on", "has no effect with how=cross"),
    ],
    ids=["repeat", "cross", "both", "key"],
)
def test_too_many_rows_are_refused_with_their_number(more, field, said, tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what\n1,a\n2,b\n3,c\n")
    right = written(tmp_path / "r.csv", "n\n1\n2\n3\n")
    if "join" in more:
        more = {**more, "join": Join(path=str(right), format="csv", **more["join"])}
    error = refused(dataset(left, **more))
    assert error.field == field
    assert said in error.problem


def test_repeats_that_would_be_one_picture_are_refused(tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what,s\n1,a,7\n")
    with pytest.raises(UserError, match="column 's' gives each row one seed"):
        scan(dataset(left, repeat=2), None, {"seed": "s"})
    varied = dataset(left, repeat=2, prompt="{what} {in|on} it")
    assert scan(varied, None, {"seed": "s"}).rows == 2


def test_ids_with_numbers_are_no_longer_what_datasets_says_of_them(tmp_path: Path):
    features = {name: {"dtype": "int64", "_type": "Value"} for name in ("id", "n")}
    said = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pa.table({"id": [1], "n": [2], "what": ["a"]}).replace_schema_metadata(said)
    left = written(tmp_path / "l.parquet", table)
    assert scan(dataset(left, repeat=2), None).features.keys() == {"n"}
    assert scan(dataset(left), None).features == features


@pytest.mark.parametrize("key", ["seed", "image", "prompt_2"])
def test_an_id_that_means_something_to_the_model_gets_no_number(key: str, tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what\n1,a\n")
    varied = dataset(left, repeat=2, prompt="{what} {in|on} it")
    with pytest.raises(UserError, match=f"model.columns.{key}=id: is the column of the ids"):
        scan(varied, None, {key: "id"})
    assert scan(dataset(left), None, {key: "id"}).rows == 1


def test_a_run_of_repeated_rows_adds_up(tmp_path: Path):
    written(tmp_path / "l.csv", "id,what\n1,a cat\n2,a dog\n")
    settings = ["dataset=csv", "dataset.path=l.csv", "dataset.id=id", "dataset.prompt='{what}'"]
    quick = ["llm=none", "model=noop", "scorer=none", "tracking=none"]
    folder = run(tmp_path, "several", *settings, *quick, "dataset.repeat=3")
    names = sorted(path.stem for path in (folder / "images").iterdir())
    assert names == [f"{id}-r{k}" for id in (1, 2) for k in range(3)]
