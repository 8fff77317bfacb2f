"""CSV tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pc_csv
from pyarrow.fs import FileSystem

from imagepipe.sources.format import Reasons, Unreadable, as_text

if TYPE_CHECKING:
    from ray.data import Dataset

BLOCK_BYTES = 4 << 20  # a cell or line must fit into it
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

QUOTED = rb'"(?:[^"]++|"")*+"'
# All of a CSV file up to a quoted cell that is not whole or not sound.
SOUND = re.compile(
    rb'(?:[^"]++'
    rb'|(?<![,\r\n])"'  # a quote in a cell that does not begin with one is a sign like others
    rb'|"(?:[^"\n]++|"")*+"(?=[^"])'  # a quoted cell of one line
    rb"|" + QUOTED + rb"(?=[ \t]*+[,\r\n]))*+"  # one of several, only blanks behind its end
)


class Csv:
    """Every cell is text, exactly as it stands; the first row names the columns.

    One exception: a CR LF in a quoted cell that a block's end divides becomes a lone CR.
    """

    suffixes: tuple[str, ...] = (".csv", ".csv.gz", ".csv.zst")

    def schema(self, filesystem: FileSystem, path: str) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in _header(filesystem, path)])

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[tuple[pa.Table, Reasons]]:
        part = pa.schema([schema.field(name) for name in wanted])
        options, seen, rows = _csv_options(schema.names, wanted), _Seen(), 0
        try:
            with filesystem.open_input_stream(path) as file:
                for raw in stream(pa.TransformInputStream(file, seen), options):
                    rows += raw.num_rows
                    yield self.decode(raw, part)
        except pa.ArrowInvalid as error:
            raise _explained(filesystem, path, str(error)) from error
        if seen.lines > rows + 1 or seen.quotes % 2:  # else no cell has several lines
            _check_quotes(filesystem, path)

    def decode(self, raw: pa.Table, schema: pa.Schema) -> tuple[pa.Table, Reasons]:
        reasons: Reasons = [None] * raw.num_rows
        columns = [as_text(raw[name], name, reasons) for name in schema.names]
        return pa.table(columns, schema=schema), reasons

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        return ray.data.read_csv(
            paths,
            filesystem=filesystem,
            partitioning=None,  # folder names are no columns
            **options,
            **_csv_options(schema.names),
        )

    def size(self, filesystem: FileSystem, path: str) -> int:
        return filesystem.get_file_info(path).size


def stream(file: pa.NativeFile, options: dict[str, Any]) -> Iterator[pa.Table]:
    """The blocks of one file as pyarrow's CSV reader gives them with `options`."""
    try:
        reader = pc_csv.open_csv(file, **options)
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):  # a header without even a line end
            return
        raise
    for batch in reader:
        yield pa.Table.from_batches([batch])


class _Seen:
    """Counts the lines and quotes of a file while it passes through."""

    def __init__(self) -> None:
        self.ends, self.quotes, self.last = 0, 0, b"\n"

    def __call__(self, block: pa.Buffer) -> pa.Buffer:
        content = block.to_pybytes()
        self.ends += content.count(b"\n")
        self.quotes += content.count(b'"')
        self.last = content[-1:] or self.last
        return block

    @property
    def lines(self) -> int:
        return self.ends + (self.last != b"\n")


def _csv_options(columns: Sequence[str], wanted: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "read_options": pc_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        "parse_options": pc_csv.ParseOptions(newlines_in_values=True),
        "convert_options": pc_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.binary()), include_columns=list(wanted)
        ),
    }


def _header(filesystem: FileSystem, path: str) -> list[str]:
    _, names = next(_csv_rows(filesystem, path), (0, []))
    if any("\udc80" <= sign <= "\udcff" for sign in "".join(names)):
        raise Unreadable("has column names that are not UTF-8", "Save the file as UTF-8.")
    return names


def _csv_rows(filesystem: FileSystem, path: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, and the line on which it starts."""
    csv.field_size_limit(2 * BLOCK_BYTES)  # what pyarrow takes must pass here
    with filesystem.open_input_stream(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        reader, before = csv.reader(text), 0
        try:
            for row in reader:
                if row:
                    yield before + 1, row
                before = reader.line_num
        except csv.Error as error:
            raise Unreadable(
                f"cannot be parsed as CSV: line {reader.line_num}: {error}",
                "Quote cells that hold quotes, commas or line ends.",
            ) from error


def _explained(filesystem: FileSystem, path: str, error: str) -> Unreadable:
    nul = _line_of_nul(filesystem, path)
    if nul is not None:  # it makes the reader miss the ends of lines
        return Unreadable(
            f"has a NUL character in line {nul}, which is no text",
            "Leave it out of the cell, or save the table as Parquet.",
        )
    ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", error)
    if ragged:
        row, expected, got = map(int, ragged.groups())
        line, _ = next(islice(_csv_rows(filesystem, path), row - 1, None))
        return Unreadable(
            f"line {line} has {got} cells where the header names {expected} columns",
            "Correct the line; a cell that holds a comma, quote or line end needs quotes.",
        )
    if "straddling" in error:
        return Unreadable(
            f"has a cell of more than {BLOCK_BYTES >> 20} MiB, or a quote that is never closed",
            "Close the quote; inside a quoted cell write a quote twice.",
        )
    return Unreadable(f"cannot be parsed as CSV: {error}", "Check the file in an editor.")


def _line_of_nul(filesystem: FileSystem, path: str) -> int | None:
    before = 0
    with filesystem.open_input_stream(path) as file:
        while block := file.read(BLOCK_BYTES):
            if b"\0" in block:
                return before + block.partition(b"\0")[0].count(b"\n") + 1
            before += block.count(b"\n")
    return None


def _check_quotes(filesystem: FileSystem, path: str) -> None:
    """Refuse a quoted cell of several lines that does not end with its closing quote.

    Where one quote is missing, the next one, which should open a cell, closes this one instead.
    """
    line, rest = _unsound(filesystem, path)
    if not rest:
        return
    what = "a quote that is never closed, before"
    if re.match(QUOTED, rest):
        what = "text after the closing quote of the cell that begins with"
    begin = rest[1:41].partition(b"\n")[0].decode("utf-8", "replace")
    raise Unreadable(
        f"line {line} has {what} {begin!r}",
        "Close the quote; inside a quoted cell write a quote twice.",
    )


def _unsound(filesystem: FileSystem, path: str) -> tuple[int, bytes]:
    """The line of the first cell that is not sound, and what follows from its quote on, or b""."""
    line, left, block = 1, b"\n", b" "
    with filesystem.open_input_stream(path) as file:
        left += file.read(len(BYTE_ORDER_MARK)).removeprefix(BYTE_ORDER_MARK)
        while block and len(left) <= 2 * BLOCK_BYTES:
            block = file.read(BLOCK_BYTES)
            text = left + (block or b"\n")
            sound = SOUND.match(text, 1)
            assert sound is not None  # it matches an empty text too
            line += text.count(b"\n", 1, sound.end())
            left = text[sound.end() - 1 :]  # with the sign before, which tells what a quote is
    return line, left[1:]
