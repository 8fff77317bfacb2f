"""Recognises a file by its content, whatever its name and the configuration say."""

from __future__ import annotations

import json
import re

from imagepipe.sources.unreadable import Unreadable

HEAD = 4096
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_BYTES = 64 << 20  # of a file's content that tell it from another; beyond, size and rows do
CHUNK_BYTES = 1 << 20
PANDAS = "Read it with pandas and save it by DataFrame.to_parquet."
EXCEL = "Save it as CSV in UTF-8 there, or read it with pandas.read_excel and save it as Parquet."
PICTURES = "Read pictures so: dataset=images dataset.path=FOLDER."
PACKED = "Unpack it, or let its name end in {}."
UTF_16 = "Save it as UTF-8: iconv -f {0} -t UTF-8 FILE > NEW. Or for CSV say read.encoding={0}."
# How a file begins, the format that it has, what it is, and the way out: null says itself.
_BEGINNINGS = (
    (rb"PAR1(?![^\x00-\x1f]*[,\r\n])", "parquet", "a Parquet file", None),  # no name of a column
    (rb"PK\x03\x04", None, "a zip archive or an Excel workbook (.xlsx)", EXCEL),
    (rb"\xff\xff\xff\xff", None, "an Arrow or Feather file", PANDAS),  # as a stream
    (rb"\x00\x01\x00\x00Standard", None, "an Access database", "Save its table as CSV there."),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None, "an Excel workbook (.xls)", EXCEL),
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", None, "UTF-32 text", UTF_16.format("UTF-32")),
    (
        rb"(?:\xff\xfe|\xfe\xff)",
        None,
        "UTF-16 text",
        UTF_16.format("UTF-16"),
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
    (rb"Rar!\x1a\x07", None, "a rar archive", "Unpack it."),
    (rb"\x1f[\x9d\xa0]", None, "a .Z archive", "Unpack it."),
    (
        rb"version https://git-lfs",
        None,
        "a pointer of Git LFS",
        "Fetch the file: git lfs pull.",
    ),
    (rb"(?s:.{257})ustar", "webdataset", "a tar archive", None),
    (rb"ORC", None, "an ORC file", PANDAS),
    (rb"Obj\x01", None, "an Avro file", "Save it as Parquet."),
    (rb"(?:ARROW1|FEA1)", None, "an Arrow or Feather file", PANDAS),
    (
        rb"SQLite format 3\x00",
        None,
        "an SQLite database",
        "Read it so: dataset=sql dataset.path=sqlite:///FILE dataset.read.table=TABLE.",
    ),
    (rb"(?s:.{8})DUCK", None, "a DuckDB database", "Save it there: COPY TABLE TO 'FILE.parquet'."),
    (rb"\x89HDF\r\n", None, "an HDF5 file", PANDAS),
    (rb"<stata_dta>|\$FL2@", None, "a file of Stata or SPSS", PANDAS),
    (rb"\x93NUMPY", None, "an array of NumPy", PANDAS),
    (rb"\x80[\x02-\x05]", None, "a pickle, which can run any code when it is read", PANDAS),
    (rb"%PDF-", None, "a PDF", "Save its table as CSV."),
    (rb"\{\\rtf", None, "a text of a word processor (RTF)", "Save its table as CSV."),
    (rb"(?:\x89PNG\r\n|\xff\xd8\xff|GIF8|RIFF....WEBP)", None, "a picture", PICTURES),
    (
        rb"(?i:<!doctype html|<html|<head|<body|<table)",
        None,
        "a web page",
        "Download the file that it links to.",
    ),
    (rb"(?:<\?xml|<!--)", None, "XML", PANDAS),
    (rb"(?:---\r?\n)?- \w+: ", None, "YAML", "Save it as JSON, an object a line."),
    (rb"\|[^\n]*\|\s*\n\|[\s:|-]+\|", None, "a table in Markdown", "Save it as CSV."),
    (rb"\[\s*\{", "json", "one JSON array", None),  # "[" alone may begin the name of a column
    (rb"\{\s*\"", "jsonl", "JSON, an object a line", None),
)


def check(head: bytes, asked: str, prefix: str) -> None:
    """Refuse a file whose first HEAD bytes are plainly of another format than `asked`, or empty.

    `prefix` is the table's place in the configuration. Raises Unreadable.
    """
    if not head:
        raise Unreadable("is empty (0 bytes)", "Give a table with at least one row.")
    begin = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    for sign, name, what, way in _BEGINNINGS:
        if re.match(sign, begin):
            if name == asked:
                return
            other = f"Set {prefix}.format={name}, or" if name else "Save it as"
            raise Unreadable(f"is {what}, not {asked}", way or f"{other} {asked} instead.")
    if asked == "parquet":
        raise Unreadable("is not a Parquet file", f"Set {prefix}.format=csv if it is a CSV file.")
    if b"\0" in head and _is_wide(head):
        raise Unreadable("is UTF-16 text", UTF_16.format("UTF-16LE"))


def check_packed(head: bytes, path: str, error: OSError) -> None:
    """Refuse a file that is not packed as the end of its name says, which `error` came of."""
    begins = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".bz2": b"BZh", ".lz4": b"\x04\x22"}
    end = next((end for end in begins if path.lower().endswith(end)), None)
    if end and not head.startswith(begins[end]):
        raise Unreadable(
            f"is not packed, though its name ends in {end}",
            f"Name it without {end}; some programs unpack what they download.",
        ) from error


def is_json(head: bytes) -> bool:
    """Whether the first of several lines is whole JSON: a row, and not how a document begins."""
    line, _, rest = head.removeprefix(BYTE_ORDER_MARK).partition(b"\n")
    if not (rest and line.lstrip().startswith(b"{")):
        return True
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _is_wide(head: bytes) -> bool:
    """Whether every second byte of Latin text is 0: UTF-16 without a mark at its beginning.

    Both bytes of a sign are 0 in no text, but in many a binary file.
    """
    if any(head[start : start + 2] == b"\0\0" for start in range(0, 64, 2)):
        return False
    return any(head[start : start + 64 : 2].count(0) > len(head[:64]) // 4 for start in (0, 1))
