"""What comes out of Ray of folders, of odd columns, and of text that is not UTF-8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from helpers.asked import dataset, prompts_of, refused, with_broken_page, written
from helpers.written import writer

from imagepipe.config import Join
from imagepipe.sources import read, scan
from imagepipe.sources.blocks import broken_file
from imagepipe.stages.stage import FAILED_STAGE


def rows_of(asked) -> pa.Table:
    batches = read(scan(asked, None)).iter_batches(batch_size=None, batch_format="pyarrow")
    return pa.concat_tables(batches, promote_options="none")


def test_folders_and_odd_columns(tmp_path: Path, ray_session: None) -> None:
    for format in ("csv", "jsonl", "parquet"):
        for number, season in enumerate(("late%20winter", "summer")):
            cells = {
                "csv": f"id,what\n{number},a\n" if number else f"id,n,what\n{number},7,a\n",
                "jsonl": [{"id": number, "what": "a", "n": {} if number else [7]}],
                "parquet": {"id": [number], "what": ["a"], "n": ["x"] if number else [7]},
            }
            written(tmp_path / format / f"place={season}" / f"p.{format}", cells[format])
        wears = written(tmp_path / "r.csv", "place,wears\nlate winter,hat\nsummer,cap\n")
        join = Join(path=str(wears), format="csv", on="place")
        rows = rows_of(dataset(tmp_path / format, format, prompt="{place}", join=join))
        told = sorted((row["place"], row["wears"], row.get("n")) for row in rows.to_pylist())
        n = {"csv": ("7", None), "jsonl": ("[7]", "{}"), "parquet": (None, None)}[format]
        assert told == [("late winter", "hat", n[0]), ("summer", "cap", n[1])]
        assert rows[FAILED_STAGE].null_count == 2


def test_rejected_rows_come_back_as_they_were(tmp_path: Path, ray_session: None) -> None:
    content = b"id,what,by\n1,caf\xe9,Ren\xe9\nn\xb02,a,b\n"
    asked = dataset(written(tmp_path / "t.csv", content))
    rows = rows_of(asked)
    assert rows["what"].to_pylist() == ["caf\ufffd", "a"]
    leave = replace(writer(tmp_path), input_columns={n: n for n in ("id", "what", "by")})
    leave.write_rejected(rows, "failed")
    [part] = (tmp_path / ".failed").iterdir()
    left = pq.read_table(part)
    assert left["what"].cast(pa.binary()).to_pylist() == [b"caf\xe9", b"a"]
    assert left["id"].cast(pa.binary()).to_pylist() == [b"1", b"n\xb02"]
    assert left["by"].cast(pa.binary()).to_pylist() == [b"Ren\xe9", b"b"]
    again = dataset(part, prompt="{what} {by}")
    assert prompts_of(again) == [None, None]


def test_a_broken_page_is_told_with_its_file(tmp_path: Path) -> None:
    good = written(tmp_path / "a.parquet", {"id": ["1"], "what": ["a cat"]})
    path = with_broken_page(tmp_path / "b.parquet")
    tables = scan(dataset(tmp_path, "parquet"), None)
    assert str(broken_file(tables)).startswith(f"{path}: cannot be read, in row group 0: ")
    assert broken_file(scan(dataset(good), None)) is None


def test_json_and_one_byte_booleans_are_what_they_say_where_they_are_used(
    tmp_path: Path, ray_session: None
) -> None:
    texts = ['{"a": 1}', None, "2"]
    columns = {
        kind: pa.ExtensionArray.from_storage(pa.json_(kind), pa.array(texts, kind))
        for kind in (pa.string(), pa.large_string(), pa.string_view())
    }
    table = {f"j{number}": cells for number, cells in enumerate(columns.values())}
    table["b"] = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 2, -1], pa.int8()))
    table |= {"other": table["b"], "id": pa.array(["1", "2", "3"])}
    path = written(tmp_path / "t.parquet", table)
    rows = rows_of(dataset(path, prompt="{j0}{j1}{j2}{b}"))
    assert [rows[f"j{number}"].to_pylist() for number in range(3)] == [texts] * 3
    assert rows["b"].to_pylist() == rows["other"].to_pylist() == [False, True, True]
    assert prompts_of(dataset(path, prompt="{j1} {b}")) == ['{"a": 1} false', None, "2 true"]
    assert prompts_of(dataset(path, id="j0", prompt="{b}"))[0] == "false"  # a key is text
    right = written(tmp_path / "r.csv", "b,wears\nTrue,hat\n")
    join = Join(path=str(right), format="csv", on="b")
    found = scan(dataset(path, prompt="{wears}", join=join), None)
    assert found.joins[0].reason.endswith("2 of 3 rows match")
    written(
        tmp_path / "both" / "a.parquet", {"id": ["1"], "what": columns[pa.string()].slice(0, 1)}
    )
    written(tmp_path / "both" / "b.parquet", {"id": ["2"], "what": ["text"]})
    asked = dataset(tmp_path / "both", "parquet")
    assert rows_of(asked)["what"].to_pylist() == [texts[0], "text"]


def test_uuids_are_text_where_they_are_used(tmp_path: Path, ray_session: None) -> None:
    texts = ["00000000-0000-0000-0000-000000000001", "9e17f7b2-b76b-483a-8c75-98ce22a9b7d4"]
    cells = pa.array([*(UUID(text).bytes for text in texts), None], pa.uuid())
    table = pa.table({"id": ["1", "2", "3"], "k": cells, "other": cells})
    path = written(tmp_path / "u.parquet", table)
    right = written(tmp_path / "r.csv", f"k,wears\n{texts[1]},hat\n{texts[0]},scarf\n")
    join = Join(path=str(right), format="csv", on="k")
    asked = dataset(path, prompt="{k} {wears}", join=join)
    rows = rows_of(asked)
    assert rows["k"].to_pylist() == [*texts, None]
    assert rows["other"].to_pylist() == [*map(UUID, texts), None]
    assert scan(asked, None).joins[0].reason.endswith("2 of 3 rows match")
    by_uuid = dataset(written(tmp_path / "i.parquet", {"id": cells[:2], "what": ["a", "b"]}))
    assert rows_of(by_uuid)["id"].to_pylist() == texts
    written(tmp_path / "both" / "a.parquet", {"id": cells[:1], "what": ["a"]})
    written(tmp_path / "both" / "b.parquet", {"id": texts[1:], "what": ["b"]})
    error = refused(dataset(tmp_path / "both", "parquet"))
    assert "holds different kinds of values in column 'id'" in str(error)
