"""What comes out of Ray of folders, of odd columns, and of text that is not UTF-8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from helpers.asked import dataset, prompts_of, with_broken_page, written
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
