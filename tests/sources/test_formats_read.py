"""The same rows come out of Ray Data whatever the format, all of them, the first, and the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers import tables_of
from helpers.asked import dataset, written
from helpers.tables_of import ROWS

from imagepipe.config import Join
from imagepipe.sources import fingerprint, read, scan

IDS = [row["id"] for row in ROWS]


def rows_of(tables: Any, **how: Any) -> list[dict[str, Any]]:
    found = read(tables, **how).take_all()
    assert all(row["failed_reason"] is None for row in found)
    return found


# What is read by the other tests of Ray Data's blocks is not read again here.
OTHERS = [name for name in tables_of.MAKERS if name not in ("csv", "tsv", "jsonl", "parquet")]


@pytest.mark.parametrize("format", OTHERS)
def test_every_format_gives_the_rows_of_a_csv(
    tmp_path: Path, ray_session: None, format: str
) -> None:
    asked = tables_of.asked(tmp_path, format)
    tables = scan(asked, None)
    assert tables.rows == len(ROWS)
    cells = {row["id"]: (row["what"], str(row["size"])) for row in rows_of(tables)}
    assert cells == {row["id"]: (row["what"], str(row["size"])) for row in ROWS}
    first = scan(asked, 5)
    assert sorted(row["id"] for row in rows_of(first)) == sorted(first.first_ids[:5])
    assert first.rows == 5


def test_rows_that_are_done_are_not_read_again(tmp_path: Path, ray_session: None) -> None:
    rest = rows_of(scan(tables_of.asked(tmp_path, "sql"), None), done=pa.array(IDS[:9]))
    assert sorted(row["id"] for row in rest) == IDS[9:]


def test_a_table_of_any_format_is_looked_up(tmp_path: Path, ray_session: None) -> None:
    left = written(tmp_path / "l.csv", "id;place\n" + "".join(f"{i};here\n" for i in IDS))
    asked = dataset(left, prompt="{what} {place}", read={"delimiter": ";"})
    for format in ("sql", "delta"):
        (tmp_path / format).mkdir()
        right = tables_of.asked(tmp_path / format, format)
        asked.join = Join(path=right.path, on="id", format=format, read=dict(right.read))
        found = rows_of(scan(asked, None))
        assert {row["id"]: row["what"] for row in found} == {r["id"]: r["what"] for r in ROWS}


def test_the_options_of_text_reach_rays_reader(tmp_path: Path, ray_session: None) -> None:
    text = "# made\nid;what\n1;'un café; noir'\n2;-\n"
    path = written(tmp_path / "t.csv", text.encode("cp1252"))
    read_ = {"delimiter": ";", "quote_char": "'", "encoding": "cp1252", "skip_rows": 1}
    asked = dataset(path, read={**read_, "null_values": ["-"]})
    found = {row["id"]: row["what"] for row in rows_of(scan(asked, None))}
    assert found == {"1": "un café; noir", "2": None}


def test_a_table_is_known_again_whatever_its_format_and_the_order_of_its_rows(
    tmp_path: Path,
) -> None:
    contents = []
    for format in ("sql", "lance", "delta", "iceberg", "huggingface"):
        (tmp_path / format).mkdir()
        tables = scan(tables_of.asked(tmp_path / format, format), None)
        contents.append(fingerprint(tables)[0]["content"])
    assert len(set(contents)) == 1
    path = tmp_path / "sql" / "t.db"
    asked = tables_of.asked(tmp_path, "sql")
    asked.path, asked.read = f"sqlite:///{path}", {"query": "SELECT * FROM things LIMIT 11"}
    assert fingerprint(scan(asked, None))[0]["content"] != contents[0]


def test_a_version_is_read_as_it_was_when_the_run_began(tmp_path: Path, ray_session: None) -> None:
    import deltalake
    import lance

    for format in ("delta", "lance", "iceberg"):
        (tmp_path / format).mkdir()
        asked = tables_of.asked(tmp_path / format, format)
        tables = scan(asked, None)
        more = pa.table({"id": ["77"], "what": ["more"], "size": [1]})
        if format == "delta":
            deltalake.write_deltalake(asked.path, more, mode="append")
        elif format == "lance":
            lance.write_dataset(more, asked.path, mode="append")
        else:
            tables_of.load_iceberg(tmp_path / format, "things").append(more)
        assert len(rows_of(tables)) == len(ROWS)
        assert scan(asked, None).rows == len(ROWS) + 1
