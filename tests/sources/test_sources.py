from __future__ import annotations

import gzip
import json
import os
import pickle
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from imagepipe import assets
from imagepipe.config import LLM, Config, Dataset, Join, Model, Scorer
from imagepipe.errors import UserError
from imagepipe.execution.chain import stages
from imagepipe.sources import Tables, formats, read, scan
from imagepipe.sources.blocks import raw_blocks
from imagepipe.sources.formats.jsonl import LINE
from imagepipe.sources.keys import keys_of
from imagepipe.sources.read import fail_second_rows
from imagepipe.sources.tables import KEY, ORIGINAL, new_names
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE

GOOD = b"id,what\n1,a cat\n2,a dog\n"


def dataset(path: Any, format: str = "csv", **more: Any) -> Dataset:
    return Dataset(
        **{"name": format, "path": path, "format": format, "id": "id", "prompt": "{what}", **more}
    )


def written(path: Path, content: bytes | list[dict[str, Any]] | pa.Table) -> str:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return str(path)


def refused(asked: Dataset, limit: int | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        scan(asked, limit)
    return caught.value


def rows_of(tables: Tables) -> list[dict[str, Any]]:
    return collected(read(tables))


def collected(data: Any) -> list[dict[str, Any]]:
    batches = list(data.iter_batches(batch_size=None, batch_format="pyarrow"))
    return pa.concat_tables(batches, promote_options="none").drop_columns(ORIGINAL).to_pylist()


def beside_a_process(data: Any) -> Any:
    """`data` passed through a later stage that leaves it half a CPU."""
    from ray.data import ActorPoolStrategy

    class Passing:
        def __call__(self, table: pa.Table) -> pa.Table:
            return table

    return data.map_batches(
        Passing,
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=1.5,
        compute=ActorPoolStrategy(size=1),
    )


def by_id(tables: Tables) -> dict[Any, dict[str, Any]]:
    rows = rows_of(tables)
    assert len(rows) == tables.rows
    return {row[tables.id]: row for row in rows}


# --- what is wrong with a whole table


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"\n\n", "has no rows"),
        (b"id,what", "has no rows"),
        (b"id,what\n", "has no rows"),
        (b"id,what\n1,a\n\n2\n3,c\n", "line 4 has 1 cells where the header names 2"),
        (b'id,what\n1,"a\nb"\n2,b,c\n', "line 4 has 3 cells"),
        (b"id,what\n1,a\n2,b\x00\n3\n", "a NUL character in line 3"),
        (b'id,what\n1,"a\n2,b\n', "a quote that is never closed, before 'a'"),
        (b'id,what\n1,a\n2,"b\n', "line 3 has a quote that is never closed, before 'b'"),
        (b'id,what\n1,"a cat\n2,"a dog"\n', "line 2 has text after the closing quote of the cell"),
        (b'\xef\xbb\xbf"id",what\n1,"a\n2,"b"', "the cell that begins with 'a'. Close the quote"),
        (b'id,what\n1,"a" cat\n', "Where quotes are signs like others, set read.quote_char=null."),
        (b'id,what\n1,"a\nb" c\n2,d\n', "line 2 has text after the closing quote"),
        (b"id,what\n1," + b"x" * 200_000 + b"\n2,b,c\n", "line 3 has 3 cells"),
        (b"id,what,what\n1,a,b\n", "several columns of the name 'what'"),
        (b"id,wh\xe4t\n1,a\n", "column names that are not UTF-8"),
        ("id,what\n1,a\n".encode("utf-16"), "is UTF-16 text"),
        (
            gzip.compress(GOOD, mtime=0),
            "is a gzip archive whose name does not end in .gz, in small letters",
        ),
        (pa.compress(GOOD, "zstd", asbytes=True), "is a zstd archive whose name does not end in"),
        (b'{"id": 1}\n', "Set dataset.format=jsonl"),
        (b"PAR1....", "Set dataset.format=parquet"),
        (b"PK\x03\x04....", "an Excel workbook"),
        (b"id,what\n1,a\n2,b\n1,c\n1,d\n", "is not unique in"),
        (b"key,what\n1,a\n", "is not a column of t.csv. Columns: key, what"),
        (b"iid,what\n1,a\n", 'Did you mean "iid"?'),
        (b"id;what\n1;a\n", "separated by ';': dataset.read={delimiter: ';'}"),
        (b"id,what\n1," + b"x" * (13 << 20) + b"\n", "a cell of more than 4 MiB"),
    ],
)
def test_unusable_csv(tmp_path: Path, content: bytes, words: str) -> None:
    error = refused(dataset(written(tmp_path / "t.csv", content)))
    assert words in str(error)
    assert error.field in ("dataset.path", "dataset.id")
    assert error.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"id": 1}\n\n{"id": 2,}\n', "line 3 is not JSON"),
        (b'{"id": 1}\n[2]\n', "line 2 is not an object but: [2]"),
        (b'[{"id": 1}]', "is one JSON array, not jsonl"),
        (b'[\n  {"id": 1}]', "is one JSON array, not jsonl"),
        (b"\n \n", "has no rows"),
        (b'{"no": 1}\n', "is not a column of t.jsonl"),
        (b'{"id": {"a": 1}, "what": "a"}\n', "which is not a key"),
        (b'{"id": 1.5, "what": "a"}\n', "Use a column of text or whole numbers"),
        (b'{"id": 1, "what": ["a"]}\n', "names 'what', which holds list"),
    ],
)
def test_unusable_json_lines(tmp_path: Path, content: bytes, words: str) -> None:
    error = refused(dataset(written(tmp_path / "t.jsonl", content), "jsonl"))
    assert words in str(error)


def test_unusable_parquet(tmp_path: Path) -> None:
    whole = Path(written(tmp_path / "good.parquet", pa.table({"id": [1], "what": ["a"]})))
    torn = written(tmp_path / "torn.parquet", whole.read_bytes()[:-20])
    assert "is not a readable Parquet file" in str(refused(dataset(torn, "parquet")))
    text = written(tmp_path / "text.parquet", GOOD)
    assert "Set dataset.format=csv" in str(refused(dataset(text, "parquet")))
    empty = written(tmp_path / "empty.parquet", pa.table({"id": pa.array([], pa.int64())}))
    assert "has no rows" in str(refused(dataset(empty, "parquet")))
    bytes_ = pa.table({"id": [1], "what": [[b"a"]]})
    error = refused(dataset(written(tmp_path / "bytes.parquet", bytes_), "parquet"))
    assert "names 'what', which holds list" in error.problem
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((1, 2)))
    ids = pa.table({"id": tensors, "what": ["a"]})
    path = written(tmp_path / "tensor.parquet", ids)
    error = refused(dataset(path, "parquet"))
    assert "in tensor.parquet, which is not a key" in str(error)
    error = refused(dataset(path, "parquet", id="what", prompt="{id}"))
    assert "names 'id', which holds extension<arrow.fixed_shape_tensor" in error.problem


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (
            pa.array([[1, 2]], pa.list_(pa.int32(), 2)),
            pa.array([None], pa.list_(pa.int32(), 2)),
        ),
        (
            pa.array([{"x": [1, 2]}], pa.struct({"x": pa.list_(pa.int32(), 2)})),
            pa.array([None], pa.struct({"x": pa.list_(pa.int32(), 2)})),
        ),
        (
            pa.array(["x"]).cast(pa.dictionary(pa.int8(), pa.string())),
            pa.DictionaryArray.from_arrays(
                pa.array([0], pa.int8()), pa.array([b"\xff"]).view(pa.string())
            ),
        ),
    ],
    ids=["list of a fixed size", "such a list in an object", "text in a dictionary"],
)
def test_columns_that_can_be_written_to_parquet_and_not_read(
    tmp_path: Path, good: pa.Array, bad: pa.Array
) -> None:
    rows = {"id": ["1"], "what": ["a"]}
    path = written(tmp_path / "good.parquet", pa.table({**rows, "x.y": good}))
    assert scan(dataset(path, "parquet"), None).rows == 1
    path = written(tmp_path / "bad.parquet", pa.table({**rows, "x.y": bad}))
    assert scan(dataset(path, "parquet"), None).columns == ("id", "what")
    error = refused(dataset(path, "parquet", prompt="{x.y}"))
    assert "holds cells in column 'x.y' that cannot be read" in error.problem


def test_columns_that_cannot_be_shuffled(tmp_path: Path) -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((2, 2, 2), "uint8"))
    table = pa.table({"id": ["1", "2"], "what": ["a", "b"], "tensor": tensors})
    path = written(tmp_path / "t.parquet", table)
    assert not scan(dataset(path, "parquet"), None).shuffled
    slim = scan(dataset(path, "parquet", scan_rows=1), None)
    assert (slim.shuffled, slim.columns) == (True, ("id", "what"))
    assert "column 'tensor' is left out: it holds extension<" in slim.notes[0]
    left = written(tmp_path / "left.csv", b"id,place\n1,here\n")
    join = Join(path=path, format="parquet", on="id")
    assert scan(dataset(left, join=join), None).columns == ("id", "place", "what", "tensor")
    join.method = "shuffle"
    assert scan(dataset(left, join=join), None).columns == ("id", "place", "what")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    written(tmp_path / "subjects.csv", GOOD)
    error = refused(dataset(str(tmp_path / "subject.csv")))
    assert (error.field, error.problem) == ("dataset.path", "is not there")
    assert 'Did you mean "subjects.csv"?' in error.remedy
    assert "is not there" in str(refused(dataset(str(tmp_path / "*.tsv"))))
    braces = refused(dataset(str(tmp_path / "{t,u}.csv")))
    assert braces.remedy.startswith("Braces are no pattern here: name a list of paths, [A, B], or")
    (tmp_path / "folder").mkdir()
    assert "holds no file that ends in .csv" in str(refused(dataset(str(tmp_path / "folder"))))
    assert "is not there" in str(refused(dataset("asset:nothing/here.csv")))
    assert "is not there" in str(refused(dataset("memory://nothing/here.csv")))
    assert "cannot be opened" in str(refused(dataset("gopher://nothing/here.csv")))
    assert "names no file" in str(refused(dataset([])))
    assert "cannot be looked up: Invalid IPv6 URL" in str(refused(dataset("https://[x/y.csv")))
    assert str(refused(dataset(2024))).startswith("dataset.path=2024: is not there")
    assert "different places" in str(
        refused(dataset([str(tmp_path / "subjects.csv"), "memory://nothing/*.csv"]))
    ) or "is not there" in str(refused(dataset(["memory://nothing/*.csv"])))


def test_a_broken_archive(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD * 1000, mtime=0)
    broken = (whole[: len(whole) // 2], b"no gzip at all")
    for number, content in enumerate(broken):
        path = written(tmp_path / f"{number}.csv.gz", content)
        assert refused(dataset(path)).field == "dataset.path"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", GOOD)
    Path(path).chmod(0)
    assert "cannot be read: Permission denied" in str(refused(dataset(path)))


def test_files_of_one_table_must_agree(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", GOOD)
    written(tmp_path / "b.csv", b"id,who\n3,x\n")
    error = refused(dataset(str(tmp_path)))
    assert "does not have the columns of" in error.problem
    assert str(error.value).endswith("b.csv")
    written(tmp_path / "1.parquet", pa.table({"id": [1], "what": ["a"]}))
    written(tmp_path / "2.parquet", pa.table({"id": ["x"], "what": ["a"]}))
    assert "different kinds" in str(refused(dataset(str(tmp_path), "parquet")))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([2**53 + 1]), pa.array([1.5])),
        (pa.array([1]), pa.array([Decimal("1.25")], pa.decimal128(10, 2))),
        (pa.array([32503680000 * 10**6], pa.timestamp("us")), pa.array([0], pa.timestamp("ns"))),
        (pa.array([2**63], pa.uint64()), pa.array([1])),
        (pa.array([[2**53 + 1]]), pa.array([[1.5]])),
    ],
)
def test_values_that_do_not_fit_the_type_of_all_files(
    tmp_path: Path, first: pa.Array, second: pa.Array
) -> None:
    for number, cells in enumerate((first, second)):
        table = pa.table({"id": [number], "what": ["a"], "n": cells})
        written(tmp_path / f"{number}.parquet", table)
    error = refused(dataset(str(tmp_path), "parquet", prompt="{n}"))
    assert "'n'" in error.problem
    tables = scan(dataset(str(tmp_path), "parquet"), None)
    assert tables.columns == ("id", "what")
    assert "column 'n' is left out: it " in tables.notes[0]
    left = written(tmp_path / "left.csv", GOOD)
    join = Join(path=str(tmp_path), format="parquet", on="id")
    assert refused(dataset(left, prompt="{n}", join=join)).field == "dataset.join.path"


def test_the_template_is_checked(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", GOOD)
    error = refused(dataset(path, prompt="{waht} in {place}"))
    assert error.field == "dataset.prompt"
    assert "names 'waht', which is not a column" in error.problem
    assert 'Did you mean "what"? Columns: id, what.' in error.remedy
    assert "not a column" in str(refused(dataset(path, prompt="{what.__class__}")))
    assert "not a column" in str(refused(dataset(path, prompt="{0}")))
    assert "an unmatched brace" in str(refused(dataset(path, prompt="{what")))


@pytest.mark.parametrize(
    ("right", "join", "field", "words"),
    [
        (b"id,wears\n1,hat\n", {"on": "key"}, "dataset.join.on", "column of the table to the left"),
        (b"key,wears\n1,hat\n", {"on": "id"}, "dataset.join.on", "is not a column of right.csv"),
        (b"id,wears\n1,hat\n", {"on": None}, "dataset.join.on", "names no key column"),
        (b"id,wears\n1,hat\n", {"on": 0}, "dataset.join.on", "column of the table to the left"),
        (b"id,wears\n1,a\n1,b\n", {"on": "id"}, "dataset.join.on", "'1' 2 times"),
        (b"id,what\n1,hat\n", {"on": "id"}, "dataset.join.path", "left table has, too: what"),
        (b"id,wears\n", {"on": "id"}, "dataset.join.path", "has no rows"),
        (b"", {"on": "id"}, "dataset.join.path", "is empty"),
        (b"PAR1", {"on": "id"}, "dataset.join.path", "Set dataset.join.format=parquet"),
    ],
)
def test_unusable_right_tables(
    tmp_path: Path, right: bytes, join: dict[str, Any], field: str, words: str
) -> None:
    left = written(tmp_path / "left.csv", GOOD)
    error = refused(dataset(left, join=Join(path=written(tmp_path / "right.csv", right), **join)))
    assert error.field == field
    assert words in str(error)


def test_later_joins_are_checked_too(tmp_path: Path) -> None:
    left = written(tmp_path / "left.csv", GOOD)
    right = written(tmp_path / "right.csv", b"id,wears\n1,hat\n2,cap\n")
    twice = [Join(path=right, on="id")]
    error = refused(dataset(left, join=Join(path=right, on="id"), more_joins=twice))
    assert error.field == "dataset.more_joins[0].path"
    assert "wears" in error.problem


def test_the_columns_of_an_anti_join_are_not_there(tmp_path: Path) -> None:
    left = written(tmp_path / "left.csv", GOOD)
    done = Join(path=written(tmp_path / "done.csv", b"id,when\n1,x\n1,y\n"), on="id", how="anti")
    assert scan(dataset(left, join=done), None).columns == ("id", "what")
    assert "not a column" in str(refused(dataset(left, join=done, prompt="{when}")))


# --- what a look tells


def test_the_default_tables_are_what_the_generator_writes(tmp_path: Path) -> None:
    from toyworld import make_tables
    from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA

    make_tables.write(tmp_path)
    folder = Path(assets.folder("asset:animals_outfits"))
    for name in ("animals.csv", "outfits.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    animals, outfits = make_tables.animals(), make_tables.outfits()
    assert animals[0] == "A watercolor painting of a cat"
    assert outfits[0] == "red scarf"
    assert {text.split()[-1] for text in animals} == set(ANIMALS)
    assert all(24 <= sum(medium in text for text in animals) <= 26 for medium in MEDIA)
    assert set(outfits) == {f"{colour} {garment}" for colour in COLOURS for garment in GARMENTS}


def test_the_default_dataset() -> None:
    asked = dataset(
        "asset:animals_outfits/animals.csv",
        prompt="{animal} wearing a {outfit}",
        join=Join(path="asset:animals_outfits/outfits.csv", on="id"),
    )
    tables = scan(asked, None)
    assert tables.rows == 100
    assert tables.columns == ("id", "animal", "outfit")
    assert tables.input_columns == ("id", "animal")
    assert tables.first_ids == tuple(map(str, range(100, 108)))
    assert tables.scanned
    assert tables.joins[0].method == "broadcast"
    assert tables.joins[0].reason == (
        "outfits.csv joined by broadcast, small (100 rows, 0.0 MB), 100 of 100 rows match"
    )
    assert scan(asked, 7).rows == 7
    assert scan(asked, 700).rows == 100
    assert pickle.loads(pickle.dumps(tables)) == tables


def test_the_look_is_limited_to_the_files_that_the_rows_come_from(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", GOOD)
    written(tmp_path / "b.csv", b"id,what\n1,again\n3,c\n")
    assert scan(dataset(str(tmp_path)), 2).rows == 2
    assert "is not unique" in str(refused(dataset(str(tmp_path))))


def test_a_table_too_large_to_scan_every_id(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", GOOD)
    assert scan(dataset(path, scan_rows=2), None).scanned
    assert not scan(dataset(path, scan_rows=1), None).scanned


def test_places_of_all_kinds(tmp_path: Path) -> None:
    import fsspec

    path = written(tmp_path / "a b#%20.csv", GOOD)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/t.csv", GOOD)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(GOOD, mtime=0))
    with fsspec.open("memory://tables/t.csv", "wb") as file:
        file.write(GOOD)
    (tmp_path / "folder" / "_hidden").mkdir(parents=True)
    written(tmp_path / "folder" / "t.csv", GOOD)
    written(tmp_path / "folder" / "notes.txt", b"")
    written(tmp_path / "folder" / "_hidden" / "t.csv", b"")
    for place in (
        path,
        Path(path).as_uri(),
        f"zip://in/t.csv::{(tmp_path / 'z.zip').as_uri()}",
        str(tmp_path / "t.csv.gz"),
        "memory://tables/t.csv",
        str(tmp_path / "folder"),
        str(tmp_path / "f*" / "t.[c]sv"),
        (tmp_path / "folder").as_uri() + "/*.csv",
        [path],
    ):
        assert scan(dataset(place), None).rows == 2, place


def test_suffixes_in_capitals_are_found_in_a_folder(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", GOOD)
    written(tmp_path / "B.CSV", b"id,what\n3,c\n")
    assert scan(dataset(str(tmp_path)), None).rows == 3


def test_numbers_are_names_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "2023", b"1,what\n1,a\n")
    written(tmp_path / "2024", b"1,what\n2,a\n")
    written(tmp_path / "7", b"1,wears\n1,hat\n")
    tables = scan(dataset([2023, 2024], id="1", join=Join(path=7, on=1)), None)
    assert (tables.rows, tables.joins[0].on) == (2, ("1",))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'id,what\n1,"a\nb" \n', 1),
        (b'id,what\n1,"a\nb"\t\r\n2,"c ""d"" e"\n', 2),
        (b'\xef\xbb\xbf"id","what, or\nwho",what\n1,a,"b\n""c"""\n', 1),
        (b'id,what\n1,5" disk\n2,a "b"\n3,"c\nd"\n4, 5"\n', 4),
        (b"id,what\n\n1,a\n\n2,b", 2),
        (b'id,what\n1,"a"', 1),
        (b"id,what\n" + b"".join(b'%d,"a ""b""\n\nc"\n' % n for n in range(500_000)), 500_000),
    ],
)
def test_sound_quotes_are_not_refused(tmp_path: Path, content: bytes, rows: int) -> None:
    assert scan(dataset(written(tmp_path / "t.csv", content)), None).rows == rows


@pytest.mark.parametrize("name", ["[id]", "{id}", "PAR1", "PAR1 \xe9", "x" * 200_000])
def test_a_header_is_not_taken_for_another_format(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "t.csv", f"{name},what\n1,a\n".encode())
    assert scan(dataset(path, id=name), None).rows == 1


def test_columns_of_the_pipelines_names_are_renamed(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"prompt,seed,input_seed,llm_x\n1,2,3,4\n")
    tables = scan(dataset(path, id="prompt", prompt="{prompt} {seed}"), None)
    assert tables.renamed == {
        "prompt": "input_prompt",
        "seed": "input_input_seed",
        "llm_x": "input_llm_x",
    }
    assert tables.id == "input_prompt"
    assert tables.columns == ("prompt", "seed", "input_seed", "llm_x")


def test_all_columns_of_the_pipeline_are_reserved(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", GOOD)
    asked = dataset(path)
    config = Config(
        dataset=asked,
        llm=LLM(name="none", engine="none"),
        model=Model(name="noop", engine="noop"),
        scorer={name: Scorer(name, "clip", path="asset:tiny_clip") for name in ("a", "b")},
    )
    added = {name for s in stages(config, scan(asked, None)) for name in s.adds.names}
    assert added >= {"prompt", "image", "score_a", "scorer_b_error"}
    assert set(new_names(sorted(added))) == added


def test_keys_of_several_columns_do_not_run_into_each_other() -> None:
    table = pa.table({"a": ["a", "ab", "1:", None, " "], "b": ["bc", "c", "x", "y", "z"]})
    keys = keys_of(table, ["a", "b"]).to_pylist()
    assert keys[3:] == [None, None]
    assert len(set(keys[:3])) == 3
    other = pa.table({"a": pa.array([7], pa.int32()), "b": [True]})
    assert keys_of(other, ["a", "b"]).to_pylist() == ["1:74:true"]


# --- what comes out of Ray


def test_csv_rows(tmp_path: Path, ray_session: None) -> None:
    written(
        tmp_path / "a.csv",
        b"\xef\xbb\xbfid,prompt,note\n"
        b'007,"a ""cat"", big\nand old",\n'
        b"b\xff,x,y\n"
        b"c,x\xff,y\xc3\xa9\n"
        b" ,x,y\n",
    )
    written(tmp_path / "b.csv", b"note,id,prompt\r\nn,../a,1\r\nn,e,2\r\nn,f,3\r\n")
    asked = dataset(str(tmp_path), prompt="{prompt}")
    rows = rows_of(scan(asked, 6))
    assert list(rows[0]) == ["id", "input_prompt", "note", "failed_stage", "failed_reason"]
    assert {tuple(row.values()) for row in rows} == {
        ("007", 'a "cat", big\nand old', "", None, None),
        ("b\ufffd", "x", "y", "read", "column 'id' is not valid UTF-8"),
        ("c", "x\ufffd", "yé", "read", "column 'prompt' is not valid UTF-8"),
        (" ", "x", "y", "read", "column 'id' is empty"),
        ("../a", "1", "n", None, None),
        ("e", "2", "n", None, None),
    }


def test_files_without_rows_are_left_out(tmp_path: Path, ray_session: None) -> None:
    written(tmp_path / "a.csv", b"what,id")
    written(tmp_path / "b.csv", GOOD)
    written(tmp_path / "c.csv", b"id,what")
    written(tmp_path / "d.csv", b"id,what\n3,c\n")
    tables = scan(dataset(str(tmp_path)), None)
    assert [os.path.basename(file.path) for file in tables.left.files] == ["b.csv", "d.csv"]
    assert set(by_id(tables)) == {"1", "2", "3"}
    (tmp_path / "right").mkdir()
    written(tmp_path / "right" / "a.csv", b"id,wears\n1,hat\n")
    written(tmp_path / "right" / "b.csv", b"id,wears")
    for method in ("broadcast", "shuffle"):
        join = Join(path=str(tmp_path / "right"), on="id", method=method)
        rows = by_id(scan(dataset(str(tmp_path / "b.csv"), join=join), None))
        assert [rows[id]["wears"] for id in "12"] == ["hat", None]


def test_parquet_rows(tmp_path: Path, ray_session: None) -> None:
    one = pa.table(
        {
            "id": pa.array(range(1000), pa.int32()),
            "what": pa.array(["ä"] * 1000).dictionary_encode(),
            "more": pa.nulls(1000),
            "n": pa.array([1] * 1000, pa.int32()),
        }
    )
    bad = pa.array([b"x\xff", b"y", b"z"]).view(pa.string())
    other = pa.table(
        {
            "more": [[1], None, [2]],
            "n": [1.5, 2.5, 3e10],
            "what": bad.cast(pa.large_string(), safe=False),
            "id": [None, 1000, 1001],
        }
    )
    pq.write_table(one, tmp_path / "a.parquet", row_group_size=100)
    pq.write_table(other, tmp_path / "b.pq")
    tables = scan(dataset(str(tmp_path), "parquet"), None)
    whole = by_id(tables)
    assert len(whole) == 1003
    assert whole[999]["what"] == "ä"
    assert whole[1001]["more"] == [2]
    assert (whole[0]["n"], whole[1000]["n"], whole[1001]["n"]) == (1.0, 2.5, 3e10)
    assert whole[None]["failed_reason"] == "column 'what' is not valid UTF-8"
    assert list(by_id(scan(dataset(str(tmp_path), "parquet"), 250))) == list(range(250))
    together = raw_blocks(tables.left, tables.left.files, 1, override_num_blocks=1)
    numbers = together.map_batches(
        lambda block: block.select(["n"]), batch_format="pyarrow", batch_size=None
    )
    assert sum(row["n"] for row in numbers.take_all()) == 1000 + 4 + 3e10


def test_what_python_cannot_read_out_of_parquet(tmp_path: Path, ray_session: None) -> None:
    bad = pa.ListArray.from_arrays([0, 1, 2, 3], pa.array([b"x", b"\xff", b"y"]).view(pa.string()))
    days = pa.array([0, 1, 2932900], pa.int32()).cast(pa.date32())
    table = pa.table(
        {
            "id": [1, 2, 3],
            "what": ["a", "b", "c"],
            "list": bad,
            "deep": pa.StructArray.from_arrays([bad], ["list"]),
            "day": days,
        }
    )
    path = written(tmp_path / "t.parquet", table)
    right = pa.table({"day": days.slice(0, 2), "wears": ["hat", "cap"]})
    join = Join(path=written(tmp_path / "right.parquet", right), on="day")
    tables = scan(dataset(path, "parquet", join=join), None)
    data = read(tables).map_batches(
        lambda block: block.drop_columns("day"), batch_format="pyarrow", batch_size=None
    )
    rows = {row["id"]: row for row in collected(data)}
    assert (rows[1]["list"], rows[1]["deep"], rows[1]["wears"]) == (["x"], {"list": ["x"]}, "hat")
    assert (rows[2]["list"], rows[2]["deep"]) == (["\ufffd"], {"list": ["\ufffd"]})
    assert (rows[2]["wears"], rows[2]["failed_stage"]) == ("cap", None)
    assert rows[3]["failed_reason"] == "right.parquet has no day '10000-01-04'"


BAD_TEXT = pa.array([b"x", b"\xff", b"y", None]).view(pa.string())
BAD_STRUCT = pa.StructArray.from_arrays([BAD_TEXT], ["s"])
EACH = pa.array(range(5), pa.int32())


@pytest.mark.parametrize(
    "cells",
    [
        pa.ListArray.from_arrays(EACH, BAD_STRUCT),
        pa.ListArray.from_arrays(EACH, pa.ListArray.from_arrays(EACH, BAD_TEXT)),
        pa.LargeListArray.from_arrays(EACH.cast(pa.int64()), BAD_STRUCT),
        pa.FixedSizeListArray.from_arrays(BAD_STRUCT, 1),
        pa.StructArray.from_arrays([pa.ListArray.from_arrays(EACH, BAD_STRUCT)], ["l"]),
        pa.MapArray.from_arrays(EACH, pa.array(list("abcd")), BAD_TEXT),
        pa.ListViewArray.from_arrays(EACH[:4], pa.array([1] * 4, pa.int32()), BAD_TEXT),
    ],
    ids="objects lists large fixed nested map views".split(),
)
def test_a_bad_cell_fails_no_other_row_of_its_block(cells: pa.Array) -> None:
    schema = pa.schema({"cells": cells.type})
    rows = formats.of("dataset", "parquet", {}).decode(
        pa.concat_tables([pa.table([cells.slice(2)], schema), pa.table([cells], schema)]), schema
    )
    assert list(rows.problems) == ["cells"]
    assert list(rows.problems["cells"]) == [3]
    if not pa.types.is_list_view(cells.type):  # which keeps what none of its cells shows
        rows.table.validate(full=True)
    column = rows.table["cells"]
    assert column.slice(0, 3) == pa.chunked_array([cells.take([2, 3, 0])])
    assert column.slice(4) == pa.chunked_array([cells.slice(2)])
    assert column[3].as_py() is None or "\ufffd" in str(column[3].as_py())


def test_the_first_of_several_rows_by_what_python_cannot_read() -> None:
    days = pa.array([2932901, 2932900, 0], pa.int32()).cast(pa.date32())
    nulls = pa.nulls(3, pa.string())
    table = pa.table({KEY: ["1", "1", "2"], "day": days, FAILED_STAGE: nulls, FAILED_REASON: nulls})
    for order in ([0, 1, 2], [2, 1, 0]):
        rows = fail_second_rows(table.take(order))
        good = rows.filter(rows[FAILED_STAGE].is_null())
        assert sorted(good["day"].cast(pa.int32()).to_pylist()) == [0, 2932900]


def test_json_rows_out_of_an_archive(tmp_path: Path, ray_session: None) -> None:
    lines = (
        b'\xef\xbb\xbf{"id": 1, "what": "a, \\"b\\" \\u00e9\\ud83d\\ude00", "deep": {"x": [1]}}\n'
        b"\n"
        b'{"what": "c", "id": 2, "size": 3}\r\n'
        b'{"id": 3, "what": "d\xff", "size": 1.5}\n'
        b'{"id": 4, "what": "half \\ud83d"}\n'
        b'{"id": 5, "what": "\\u00e9", "size": NaN}\n'
        b'{"what": "nobody"}'
    )
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("t.jsonl", lines)
    place = f"zip://t.jsonl::{(tmp_path / 'z.zip').as_uri()}"
    rows = by_id(scan(dataset(place, "jsonl"), None))
    assert rows[1]["what"] == 'a, "b" é😀'
    assert rows[1]["deep"] == {"x": [1]}
    assert (rows[2]["size"], rows[3]["size"], rows[1]["size"]) == (3.0, 1.5, None)
    assert (
        rows[3]["failed_reason"] == rows[4]["failed_reason"] == "column 'what' is not valid UTF-8"
    )
    assert rows[5]["what"] == "é"
    assert rows[5]["failed_reason"] is None
    assert rows[None]["failed_reason"] == "column 'id' is empty"


def test_json_cells_of_several_kinds_are_text(tmp_path: Path) -> None:
    good = [{"id": n, "what": f"thing {n}", "size": n / 2} for n in range(1, 4)]
    odd = [
        {"id": 4, "what": ["a"], "size": 1},
        {"id": 5, "what": {"a": {"b": [None]}}, "size": 1},
        {"id": 6, "what": 7, "size": True},
        {"id": 7, "what": None, "size": "8"},
        {"id": "8", "what": "text", "size": None},
    ]
    tables = scan(dataset(written(tmp_path / "t.jsonl", [*odd, *good]), "jsonl"), None)
    raw = pa.table({LINE: [json.dumps(row).encode() for row in [*odd, *good]]})
    rows = formats.of("dataset", "jsonl", {}).decode(raw, tables.left.schema)
    cells = rows.table.to_pydict()
    assert cells["id"] == ["4", "5", "6", "7", "8", "1", "2", "3"]
    assert cells["what"][:5] == ['["a"]', '{"a": {"b": [null]}}', "7", None, "text"]
    assert cells["size"] == ["1", "1", "true", '"8"', None, "0.5", "1.0", "1.5"]
    assert rows.reasons({"id", "what"}) == [
        "column 'what' holds a list, not text",
        "column 'what' holds an object, not text",
        *[None] * 6,
    ]


def test_json_numbers_that_do_not_fit_beside_those_of_other_files_are_text(tmp_path: Path) -> None:
    whole = [{"id": 1, "what": "a", "n": 2**53 + 1, "list": [2**53 + 1]}, {"id": 2, "n": 3}]
    written(tmp_path / "1.jsonl", whole)
    written(tmp_path / "2.jsonl", [{"id": 3, "what": "a", "n": 1.5, "list": [1.5]}])
    left = scan(dataset(str(tmp_path), "jsonl"), None).left
    raw = pa.table({LINE: [json.dumps(row).encode() for row in whole]})
    rows = formats.of("dataset", "jsonl", {}).decode(raw, left.schema)
    assert rows.table["n"].to_pylist() == ["9007199254740993", "3"]
    assert rows.table["list"].to_pylist() == ["[9007199254740993]", None]
    assert not rows.problems


def test_a_json_column_has_one_type_wherever_a_block_ends(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "what": "a", "n": 2**53 + 1, "list": [2**53 + 1], "deep": {"n": 2**53 + 1}},
        {"id": 2, "what": "a", "n": 1.5, "list": [1.5], "deep": {"n": 1.5}},
    ]
    far = [{"id": 3, "what": "a" * (1 << 20)}] * 4  # more than a block
    one = written(tmp_path / "one.jsonl", rows)
    two = written(tmp_path / "two.jsonl", [rows[0], *far, rows[1]])
    schemas = [
        formats.of("dataset", "jsonl", {}).schema(LocalFileSystem(), path, {"what"})
        for path in (one, two)
    ]
    assert schemas[0] == schemas[1]
    raw = pa.table({LINE: [json.dumps(row).encode() for row in rows]})
    decoded = formats.of("dataset", "jsonl", {}).decode(raw, schemas[0])
    assert decoded.table["n"].to_pylist() == ["9007199254740993", "1.5"]
    assert decoded.table["deep"].to_pylist() == ['{"n": 9007199254740993}', '{"n": 1.5}']


def test_both_ways_to_join_give_the_same_rows(tmp_path: Path, ray_session: None) -> None:
    left = written(
        tmp_path / "left.csv",
        b"id,k,n,what\n1,a,1,u\n2,a,2,v\n3,b,1,w\n4,,1,x\n,a,1,y\n6,a,1,z\n7,a,1,z\n",
    )
    right = pa.table(
        {
            "k": ["a", "b", None, "", "e"],
            "n": [1, 1, 1, 1, 1],
            "wears": pa.array([b"hat", b"c\xffp", b"-", b"-", b"-"]).view(pa.string()),
            "list": [[1], [2], None, None, None],
        }
    )
    inner = Join(path=written(tmp_path / "r.parquet", right), format="parquet", on=["k", "n"])
    sizes = [{"id": 1, "seed": 5}]
    some = Join(path=written(tmp_path / "l.jsonl", sizes), format="jsonl", on="id", how="left")
    done = Join(path=written(tmp_path / "done.csv", b"id,what\n7,z\n7,z\n"), on="id", how="anti")
    asked = dataset(left, prompt="{what} {seed} {wears}", join=inner, more_joins=[some, done])
    outcomes = []
    for inner.method in ("broadcast", "shuffle"):
        some.method = done.method = inner.method
        tables = scan(asked, None)
        assert {join.method for join in tables.joins} == {inner.method}
        outcomes.append(by_id(tables))
    rows = outcomes[0]
    assert rows == outcomes[1]
    names = ["id", "k", "n", "what", "wears", "list", "input_seed"]
    assert list(rows["1"]) == list(outcomes[1]["1"]) == [*names, "failed_stage", "failed_reason"]
    assert list(rows["1"].values()) == ["1", "a", "1", "u", "hat", [1], 5, None, None]
    assert list(rows["6"].values()) == ["6", "a", "1", "z", "hat", [1], None, None, None]
    assert rows["2"]["wears"] is None
    assert {id: (row["failed_stage"], row["failed_reason"]) for id, row in rows.items()} == {
        "1": (None, None),
        "2": ("join", "r.parquet has no k 'a', n '2'"),
        "3": ("read", "column 'wears' is not valid UTF-8 in r.parquet"),
        "4": ("join", "k is empty"),
        "": ("read", "column 'id' is empty"),
        "6": (None, None),
        "7": ("join", "done.csv has id '7'"),
    }


@pytest.mark.parametrize("method", ["broadcast", "shuffle"])
def test_repeats_in_tables_too_large_to_scan_every_id(
    tmp_path: Path, ray_session: None, method: str
) -> None:
    left = written(tmp_path / "left.csv", b"id,what\n1,b\n1,a\n1,b\n2,x\n3,x\n4,x\n,x\n,x\n")
    right = written(tmp_path / "right.csv", b"id,wears\n1,hat\n2,hat\n2,cap\n3,cap\n")
    join = Join(path=right, on="id", method=method)
    tables = scan(dataset(left, join=join, scan_rows=1), None)
    rows = collected(beside_a_process(read(tables, num_cpus=0.5)))
    told = sorted((r["id"], r["what"], r["wears"], r["failed_stage"]) for r in rows)
    reasons = {r["id"]: r["failed_reason"] for r in rows if r["failed_reason"]}
    assert [t for t in told if t[3] is None] == [("1", "a", "hat", None), ("3", "x", "cap", None)]
    assert len(told) == 8
    assert [t[3] for t in told if t[0] == "1"] == [None, "read", "read"]
    assert reasons["1"] == "another row has the id '1'"
    assert reasons["2"] == "right.csv has 2 rows with this id"
    assert reasons["4"] == "right.csv has no id '4'"
