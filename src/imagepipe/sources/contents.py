"""What a file plainly is, whatever its name and the configuration say."""

from __future__ import annotations

import re

from pyarrow.fs import FileSystem

from imagepipe.sources.format import Unreadable

# How a file begins, the format that it has, and what it is.
_BEGINNINGS = (
    (rb"PAR1(?![^\x00-\x1f]*[,\r\n])", "parquet", "a Parquet file"),  # and not the name of a column
    (rb"PK\x03\x04", None, "a zip archive or an Excel workbook"),
    (rb"\xff\xfe", None, "UTF-16 text"),
    (rb"\xfe\xff", None, "UTF-16 text"),
    (rb"\x1f\x8b", None, "a gzip archive whose name does not end in .gz, in small letters"),
    (
        rb"\x28\xb5\x2f\xfd",
        None,
        "a zstd archive whose name does not end in .zst, in small letters",
    ),
    (rb"\[\s*\{", None, "one JSON array"),  # "[" alone may begin the name of a column
    (rb"\{\s*\"", "jsonl", "JSON"),
)


def check(filesystem: FileSystem, path: str, asked: str, prefix: str) -> None:
    """Refuse a file that is plainly of another format than `asked`, and an empty one.

    `prefix` is the table's place in the configuration. Raises Unreadable.
    """
    with filesystem.open_input_stream(path) as stream:
        head = stream.read(64)
    if not head:
        raise Unreadable("is empty (0 bytes)", "Give a table with at least one row.")
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for sign, name, what in _BEGINNINGS:
        if re.match(sign, begin):
            if name == asked:
                return
            other = f"Set {prefix}.format={name}, or" if name else "Save it as"
            raise Unreadable(f"is {what}, not {asked}", f"{other} {asked} instead.")
    if asked == "parquet":
        raise Unreadable("is not a Parquet file", f"Set {prefix}.format=csv if it is a CSV file.")
