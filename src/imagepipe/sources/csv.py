"""CSV tables."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
from pyarrow.fs import FileSystem

from imagepipe.sources.folders import Suffixes
from imagepipe.sources.format import Rows, Unreadable, as_text, without

if TYPE_CHECKING:
    from ray.data import Dataset

BLOCK_BYTES = 4 << 20  # a cell or line must fit into it
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

QUOTED = rb'"(?:[^"]++|"")*+"'
# What stands before a quote that opens a cell, of a fixed width each, as Python wants it.
OPENS = [rb"[,\r\n]" + rb"[ \t]" * blanks for blanks in range(5)]
# All of a CSV file up to a quoted cell that is not whole or not sound.
SOUND = re.compile(
    rb'(?:[^"]++'
    rb"|" + b"".join(b"(?<!%b)" % signs for signs in OPENS) + rb'"'  # a sign like others
    rb"|(?<=[,\r\n])" + QUOTED + rb"(?=[ \t]*+[,\r\n])"  # a quoted cell, only blanks behind its end
    rb")*+"
)
CLOSE = "Close the quote; inside a quoted cell write a quote twice."


class Csv:
    """Every cell is text, exactly as it stands; the first row names the columns.

    One exception: a CR LF in a quoted cell that a block's end divides becomes a lone CR. Columns
    without a name are left out.
    """

    suffixes = Suffixes((".csv",), compressed=True)

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        header = _header(filesystem, path)
        named = [pa.field(name, pa.string()) for name in header if name.strip()]
        more = len(header) - len(named)
        why = "has no name" if more == 1 else f"has no name, as {more} columns have none"
        return without(named, {"": why} if more else {})

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        options, seen, count = _csv_options(wanted), _Seen(), 0
        try:
            with filesystem.open_input_stream(path) as file:
                for raw in stream(pa.TransformInputStream(file, seen), options):
                    count += raw.num_rows
                    rows = self.decode(raw, part)
                    rows.bad_line = seen.bad_line
                    if _may_be_header(rows.table):
                        _check_headers(filesystem, path)
                    yield rows
        except pa.ArrowInvalid as error:
            raise _explained(filesystem, path, str(error)) from error
        if seen.quotes:
            _check_quotes(filesystem, path)

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows = Rows(raw)
        columns = [as_text(raw[name], name, rows) for name in schema.names]
        rows.table = pa.table(columns, schema=schema)
        return rows

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        return ray.data.read_csv(
            paths, filesystem=filesystem, **options, **_csv_options(schema.names)
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
    """Whether a file has quotes, and where it is not UTF-8, while it passes through."""

    def __init__(self) -> None:
        self.quotes, self.lines = False, 0
        self.bad_line: int | None = None
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def __call__(self, block: pa.Buffer) -> pa.Buffer:
        content = block.to_pybytes()
        self.quotes = self.quotes or b'"' in content
        if self.bad_line is None:
            try:
                self.decoder.decode(content, not content)
            except UnicodeDecodeError as error:
                self.bad_line = self.lines + error.object[: error.start].count(b"\n") + 1
            self.lines += content.count(b"\n")
        return block


def _csv_options(columns: Sequence[str]) -> dict[str, Any]:
    """How to read `columns` as bytes; one that a file lacks is null."""
    return {
        "read_options": pc_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        "parse_options": pc_csv.ParseOptions(newlines_in_values=True),
        "convert_options": pc_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.binary()),
            include_columns=list(columns),
            include_missing_columns=True,
        ),
    }


def _header(filesystem: FileSystem, path: str) -> list[str]:
    _, names = next(_csv_rows(filesystem, path), (0, []))
    if any("\udc80" <= sign <= "\udcff" for sign in "".join(names)):
        raise Unreadable("has column names that are not UTF-8", "Save the file as UTF-8.")
    return names


def _may_be_header(rows: pa.Table) -> bool:
    """Whether all columns of a row of `rows` hold their own names."""
    same = [pc.fill_null(pc.equal(rows[name], name), False) for name in rows.column_names]
    return bool(same) and pc.any(reduce(pc.and_, same)).as_py()


def _check_headers(filesystem: FileSystem, path: str) -> None:
    """Refuse a header that stands once more among the rows."""
    rows = _csv_rows(filesystem, path)
    _, header = next(rows)
    again = next((line for line, row in rows if row == header), None)
    if again is not None:
        raise Unreadable(
            f"has its header once more in line {again}",
            "Leave that line out: files that were put together keep one header.",
        )


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
            CLOSE,
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
    """Refuse a quoted cell that does not end with its closing quote, or begins with a blank.

    Where one quote is missing, the next one, which should open a cell, closes this one instead.
    """
    line, before, rest = _unsound(filesystem, path)
    if not rest:
        return
    what, remedy = "a quote that is never closed, before", CLOSE
    quoted = re.match(QUOTED, rest)
    if before in b" \t":
        what, remedy = "a blank before the quote of the cell", "Leave out blanks behind commas."
    elif quoted:
        what = "text after the closing quote of the cell that begins with"
        if quoted[0].endswith(b'\\"'):
            remedy = 'Write a quote inside a cell twice, "", not with a backslash before it.'
    begin = rest[1:41].partition(b"\n")[0].decode("utf-8", "replace")
    raise Unreadable(f"line {line} has {what} {begin!r}", remedy)


def _unsound(filesystem: FileSystem, path: str) -> tuple[int, bytes, bytes]:
    """Of the first cell that is not sound its line, the sign before its quote, and all from it on.

    That is b"" where all are sound.
    """
    line, text, place, block = 1, b"\n", 1, b" "
    with filesystem.open_input_stream(path) as file:
        text += file.read(len(BYTE_ORDER_MARK)).removeprefix(BYTE_ORDER_MARK)
        while block and len(text) - place <= 2 * BLOCK_BYTES:
            block = file.read(BLOCK_BYTES)
            text = text[max(0, place - len(OPENS)) :] + (block or b"\n")
            place = min(place, len(OPENS))
            sound = SOUND.match(text, place)
            assert sound is not None  # it matches an empty text too
            line += text.count(b"\n", place, sound.end())
            place = sound.end()
    return line, text[place - 1 : place], text[place:]
