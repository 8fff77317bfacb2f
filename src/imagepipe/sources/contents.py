"""What a file plainly is, whatever its name and the configuration say."""

from __future__ import annotations

import json
import re

from pyarrow.fs import FileSystem

from imagepipe.sources.format import Unreadable

HEAD = 4096
PANDAS = "Read it with pandas and save it by DataFrame.to_parquet."
EXCEL = "Save it as CSV in UTF-8 there, or read it with pandas.read_excel and save it as Parquet."
PACKED = "Unpack it, or let its name end in {}."
# How a file begins, the format that it has, what it is, and the way out: null says itself.
_BEGINNINGS = (
    (rb"PAR1(?![^\x00-\x1f]*[,\r\n])", "parquet", "a Parquet file", None),  # no name of a column
    (rb"PK\x03\x04", None, "a zip archive or an Excel workbook (.xlsx)", EXCEL),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None, "an Excel workbook (.xls)", EXCEL),
    (
        rb"(?:\xff\xfe|\xfe\xff)",
        None,
        "UTF-16 text",
        "Save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW.",
    ),
    (
        rb"\x1f\x8b",
        None,
        "a gzip archive whose name does not end in .gz, in small letters",
        PACKED.format(".gz"),
    ),
    (
        rb"\x28\xb5\x2f\xfd",
        None,
        "a zstd archive whose name does not end in .zst, in small letters",
        PACKED.format(".zst"),
    ),
    (
        rb"BZh\d1AY",
        None,
        "a bzip2 archive whose name does not end in .bz2, in small letters",
        PACKED.format(".bz2"),
    ),
    (rb"\x04\x22\x4d\x18", None, "an lz4 archive", PACKED.format(".lz4")),
    (rb"\xfd7zXZ\x00", None, "an xz archive", "Unpack it: xz -d FILE."),
    (rb"7z\xbc\xaf\x27\x1c", None, "a 7z archive", "Unpack it."),
    (
        rb"version https://git-lfs",
        None,
        "a pointer of Git LFS",
        "Fetch the file: git lfs pull.",
    ),
    (rb"ORC", None, "an ORC file", PANDAS),
    (rb"Obj\x01", None, "an Avro file", "Save it as Parquet."),
    (rb"(?:ARROW1|FEA1)", None, "an Arrow or Feather file", PANDAS),
    (rb"SQLite format 3\x00", None, "an SQLite database", "Save the table as CSV or Parquet."),
    (rb"(?i:<!doctype html|<html)", None, "a web page", "Download the file that it links to."),
    (rb"\[\s*\{", None, "one JSON array", None),  # "[" alone may begin the name of a column
    (rb"\{\s*\"", "jsonl", "JSON", None),
)


def check(filesystem: FileSystem, path: str, asked: str, prefix: str) -> None:
    """Refuse a file that is plainly of another format than `asked`, and an empty one.

    `prefix` is the table's place in the configuration. Raises Unreadable.
    """
    head = _head(filesystem, path)
    if not head:
        raise Unreadable("is empty (0 bytes)", "Give a table with at least one row.")
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for sign, name, what, way in _BEGINNINGS:
        if re.match(sign, begin):
            if name == asked:
                return
            other = f"Set {prefix}.format={name}, or" if name else "Save it as"
            raise Unreadable(f"is {what}, not {asked}", way or f"{other} {asked} instead.")
    if asked == "parquet":
        raise Unreadable("is not a Parquet file", f"Set {prefix}.format=csv if it is a CSV file.")
    if b"\0" in head and _is_wide(head):
        raise Unreadable(
            "is UTF-16 text", "Save it as UTF-8: iconv -f UTF-16LE -t UTF-8 FILE > NEW."
        )


def no_table(filesystem: FileSystem, path: str, asked: str) -> str | None:
    """Why a file that was found in a folder is no part of the table there, or null.

    Writers leave parts without a byte, and put a description of the table beside its lines.
    """
    if asked == "parquet":
        return None
    head = _head(filesystem, path)
    if not head:
        return "is empty"
    line, _, rest = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if asked == "jsonl" and rest and line.lstrip().startswith(b"{"):
        try:
            json.loads(line)
        except ValueError:
            return "is one JSON document, not a line a row" if _one(filesystem, path) else None
    return None


def _one(filesystem: FileSystem, path: str) -> bool:
    """Whether a file, no longer than a description of a table is, is one JSON document."""
    with filesystem.open_input_stream(path) as stream:
        text = stream.read(1 << 20)
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _head(filesystem: FileSystem, path: str) -> bytes:
    with filesystem.open_input_stream(path) as stream:
        return stream.read(HEAD)


def _is_wide(head: bytes) -> bool:
    """Whether every second byte of Latin text is 0: UTF-16 without a mark at its beginning."""
    return any(head[start : start + 64 : 2].count(0) > len(head[:64]) // 4 for start in (0, 1))
