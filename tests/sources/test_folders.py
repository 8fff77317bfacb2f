"""What of a folder is read, what its folders' names say, and what is refused."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.asked import dataset, prompts_of, refused, written

from imagepipe.sources import scan

CSV = "id,what\n{0},a {0}\n"
JSON = '{{"id": "{0}", "what": "a {0}"}}\n'


def packed(text: str, ending: str) -> bytes:
    """`text` as the ending of a file's name says."""
    ways = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress}
    way = ways.get(ending)
    codec = {"zst": "zstd", "lz4": "lz4"}.get(ending)
    return way(text.encode()) if way else pa.compress(text.encode(), codec, asbytes=True)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_folder_is_read_with_every_ending_that_is_read_singly(
    tmp_path: Path, format: str
) -> None:
    row, names = (CSV, ["csv"]) if format == "csv" else (JSON, ["jsonl", "ndjson", "json"])
    endings = [f"{name}{end}" for name in names for end in ("", ".gz", ".bz2", ".zst")]
    for ending in endings:
        content = packed(row.format(ending), ending.partition(".")[2])
        path = written(tmp_path / "d" / f"{ending}.{ending}", content)
        assert prompts_of(dataset(path, format)) == [f"a {ending}"]
    assert sorted(prompts_of(dataset(tmp_path / "d", format))) == sorted(f"a {e}" for e in endings)


def test_files_that_are_not_read_are_told_with_the_reason(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", CSV.format(1))
    for name in ("b.tsv", "_SUCCESS", ".part.csv.crc", "_hidden/c.csv", "README.md"):
        written(tmp_path / name, CSV.format(2))
    written(tmp_path / "z.csv", "")
    tables = scan(dataset(tmp_path, "csv"), None)
    reasons = {str(Path(path).relative_to(tmp_path)): why for path, why in tables.left_out.items()}
    assert reasons == {
        "b.tsv": "ends in none of .csv",
        "README.md": "ends in none of .csv",
        "_SUCCESS": "'_SUCCESS' begins with _",
        ".part.csv.crc": "'.part.csv.crc' begins with .",
        "_hidden/c.csv": "'_hidden' begins with _",
        "z.csv": "is empty",
    }
    assert tables.notes[0].startswith("6 of 7 files are not read: ")
    assert tables.notes[0].endswith(" and 1 more")


def test_a_description_beside_json_lines_is_no_table(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", JSON.format(1))
    written(tmp_path / "dataset_info.json", '{\n  "splits": {"train": 1}\n}\n')
    assert prompts_of(dataset(tmp_path, "jsonl")) == ["a 1"]
    note = scan(dataset(tmp_path, "jsonl"), None).notes[0]
    assert note == "1 of 2 files are not read: dataset_info.json (is one JSON document, not a " + (
        "line a row)"
    )


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_folders_named_by_a_value_are_columns(tmp_path: Path, format: str) -> None:
    for season in ("_season=late%20winter", "_season=summer"):
        path = tmp_path / "d" / "x=1" / season / f"p.{format}"
        cell = {"csv": CSV.format(season[8]), "jsonl": JSON.format(season[8])}
        written(path, cell.get(format, {"id": [season[8]], "what": [f"a {season[8]}"]}))
    asked = dataset(tmp_path / "d", format, prompt="{what} in {_season} {x}")
    assert sorted(prompts_of(asked)) == ["a l in late winter 1", "a s in summer 1"]
    glob = dataset(tmp_path / "d" / "*" / "*" / f"*.{format}", format, prompt="{_season}")
    assert sorted(prompts_of(glob)) == ["late winter", "summer"]
    one = dataset(tmp_path / "d" / "x=1" / "_season=summer", format)
    assert scan(one, None).columns == ("id", "what")


def test_a_glob_of_folders_reads_what_is_in_them(tmp_path: Path) -> None:
    for year in (2023, 2024):
        written(tmp_path / f"year={year}" / "month=1" / "p.csv", CSV.format(year))
    written(tmp_path / "year=2025" / "README.md", "no table")
    asked = dataset(tmp_path / "year=*", "csv", prompt="{what} in {year}/{month}")
    assert sorted(prompts_of(asked)) == ["a 2023 in 2023/1", "a 2024 in 2024/1"]
    assert scan(asked, None).notes == (
        "1 of 3 files are not read: year=2025/README.md (ends in none of .csv)",
    )
    error = refused(dataset(tmp_path / "year=2025*", "csv"))
    assert error.problem == "is not there" and "README.md (ends in none" in error.remedy


def test_a_folder_that_a_glob_of_files_fits_too_is_told(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", CSV.format(1))
    written(tmp_path / "more" / "b.csv", CSV.format(2))
    (tmp_path / "empty").mkdir()
    beside = scan(dataset(tmp_path / "*", "csv"), None)
    assert beside.notes == (
        "1 of 2 files are not read: more (is a folder, where the glob fits files)",
    )
    assert sorted(prompts_of(dataset(tmp_path / "**", "csv"))) == ["a 1", "a 2"]


def test_a_folders_value_stands_for_a_column_of_its_name(tmp_path: Path) -> None:
    written(tmp_path / "n=7" / "p.parquet", {"id": ["1"], "what": ["a"], "n": [7]})
    written(tmp_path / "n=__HIVE_DEFAULT_PARTITION__" / "p.parquet", {"id": ["2"], "what": ["b"]})
    assert sorted(prompts_of(dataset(tmp_path, "parquet", prompt="{what}{n}")), key=str) == [
        None,
        "a7",
    ]


@pytest.mark.parametrize(
    ("mark", "kind"),
    [
        ("_delta_log/00000000000000000000.json", "Delta"),
        ("metadata/v1.metadata.json", "Iceberg"),
        (".hoodie/hoodie.properties", "Hudi"),
        ("_versions/1.manifest", "Lance"),
    ],
)
@pytest.mark.parametrize(
    "place", [".", "*.parquet", "data", "data/x=1/y=2", "a.parquet", "data/x=1/*/*.parquet"]
)
def test_a_table_that_is_more_than_its_files_is_refused(
    tmp_path: Path, mark: str, kind: str, place: str
) -> None:
    written(tmp_path / "a.parquet", {"id": ["1"], "what": ["a"]})
    written(tmp_path / "data" / "b.parquet", {"id": ["2"], "what": ["b"]})
    written(tmp_path / "data" / "x=1" / "y=2" / "c.parquet", {"id": ["3"], "what": ["c"]})
    written(tmp_path / mark, "{}")
    error = refused(dataset(tmp_path / place, "parquet"))
    assert f"is a table of {kind}" in error.problem
    way = "save it as Parquet" if kind == "Hudi" else f"format={kind.lower()}"
    assert way in error.remedy


@pytest.mark.parametrize("mark", ["_delta_log/0.json", "metadata/v1.metadata.json"])
@pytest.mark.parametrize("place", [".", "*", "**/*.parquet", "*/*.parquet", "[t]"])
def test_such_a_table_below_the_folder_is_refused(tmp_path: Path, mark: str, place: str) -> None:
    written(tmp_path / "t" / "a.parquet", {"id": ["1"], "what": ["a"]})
    written(tmp_path / "t" / mark, "{}")
    assert "is a table of " in refused(dataset(tmp_path / place, "parquet")).problem


@pytest.mark.parametrize("end", ["gz", "bz2", "zst", "lz4"])
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_file_that_is_not_packed_as_its_name_says(tmp_path: Path, format: str, end: str) -> None:
    row = CSV if format == "csv" else JSON
    for place in (tmp_path / f"t.{format}.{end}", tmp_path / "d" / f"t.{format}.{end}"):
        written(place, row.format(1))
    for place in (tmp_path / f"t.{format}.{end}", tmp_path / "d"):
        assert f"is not packed, though its name ends in .{end}. Name it without .{end}" in str(
            refused(dataset(place, format))
        )


@pytest.mark.parametrize("place", ["d", "d/*.csv", "d/**", "d/b.csv", "d/[ab].csv"])
def test_a_link_to_nothing_that_is_named_or_fits_is_refused(tmp_path: Path, place: str) -> None:
    written(tmp_path / "d" / "a.csv", CSV.format(1))
    (tmp_path / "d" / "b.csv").symlink_to(tmp_path / "gone")
    assert "is a link to" in refused(dataset(tmp_path / place, "csv")).problem


def test_a_link_to_no_folder_is_told(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", CSV.format(1))
    (tmp_path / "more").symlink_to(tmp_path / "gone")
    (told,) = scan(dataset(tmp_path, "csv"), None).left_out.values()
    assert told == f"is a link to {tmp_path / 'gone'}, which is not there"


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "d" / "a.csv", CSV.format(1))
    (tmp_path / "d" / "b.csv").symlink_to(tmp_path / "gone")
    error = refused(dataset(tmp_path / "d", "csv"))
    assert str(error.value).endswith("b.csv")
    assert "is a link to" in error.problem
    (tmp_path / "d" / "b.csv").rename(tmp_path / "d" / "b.txt")
    assert scan(dataset(tmp_path / "d", "csv"), None).rows == 1


def test_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    written(tmp_path / "my [v2] data" / "t.csv", CSV.format(1))
    assert prompts_of(dataset(tmp_path / "my [v2] data" / "*.csv")) == ["a 1"]
    assert prompts_of(dataset(tmp_path / "my*" / "[st].csv")) == ["a 1"]


def test_folders_that_only_some_files_are_in_are_told(tmp_path: Path) -> None:
    written(tmp_path / "x=1" / "y=2" / "a.csv", CSV.format(1))
    written(tmp_path / "x=1" / "b.csv", CSV.format(2))
    tables = scan(dataset(tmp_path, "csv"), None)
    assert tables.columns == ("id", "what", "x")
    assert tables.notes == (
        "folders y=... are no column, because not all files are in one, such as x=1/b.csv",
    )
    written(tmp_path / "c.csv", CSV.format(3))
    first, second = scan(dataset(tmp_path, "csv"), None).notes
    assert first.endswith("such as c.csv") and second.endswith(("such as c.csv", "x=1/b.csv"))


def test_a_column_that_a_folders_value_stands_for_is_told(tmp_path: Path) -> None:
    written(tmp_path / "what=cow" / "a.csv", CSV.format(1))
    asked = dataset(tmp_path, "csv")
    said = "column 'what' is what the folders what=... say, not what the files hold"
    assert scan(asked, None).notes == (said,)
    assert prompts_of(asked) == ["cow"]


@pytest.mark.parametrize("links", [["d/up"], ["d/up", "d/also"], ["d/e/top", "d/up"]])
def test_links_in_a_circle_are_read_once(tmp_path: Path, links: list[str]) -> None:
    """Two of them in a folder would be 2 to the power of 40 paths."""
    written(tmp_path / "d" / "a.csv", CSV.format(1))
    written(tmp_path / "d" / "e" / "b.csv", CSV.format(2))
    written(tmp_path / "far" / "c.csv", CSV.format(3))
    for link in links:
        (tmp_path / link).symlink_to(tmp_path / "d")
    (tmp_path / "d" / "beside").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "d")
    asked = dataset(tmp_path / "d", "csv")
    assert sorted(prompts_of(asked)) == ["a 1", "a 2", "a 3"]
    for glob, wanted in (("**", "123"), ("**/b.csv", "2"), ("[ef]/**", "2"), ("**/beside/*", "3")):
        found = prompts_of(dataset(tmp_path / "d" / glob, "csv"))
        assert sorted(found) == [f"a {one}" for one in wanted]
    left_out = scan(asked, None).left_out
    assert {str(Path(path).relative_to(tmp_path)) for path in left_out} == {
        *links,
        "d/beside/back",
    }
    assert set(left_out.values()) == {"is a link to a folder that it is in"}
