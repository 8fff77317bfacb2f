"""Reads the text of a CSV file sign by sign: its header, its rows, and what is wrong with it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources.contents import BYTE_ORDER_MARK
from imagepipe.sources.unreadable import Unreadable

BLOCK_BYTES = 4 << 20  # a cell or line must fit into it
UTF_8 = "utf-8"
MARK = "\ufeff"  # at the beginning of a file, and between two that were joined
MOST_BLANKS = 4  # that are looked for before a quote


@dataclass(frozen=True)
class Dialect:
    """The signs between and around cells."""

    delimiter: str
    quote: str | None
    double: bool
    escape: str | None

    @cached_property
    def quoted(self) -> bytes:
        """The pattern of a whole quoted cell."""
        quote, escape = self._sign(self.quote), self._sign(self.escape)
        parts = [b"[^" + quote + escape + b"]++"]
        parts += [quote + quote] if self.double else []
        parts += [escape + b"[^\\n]"] if escape else []
        return quote + b"(?:" + b"|".join(parts) + b")*+" + quote

    @cached_property
    def opens(self) -> list[bytes]:
        """What stands before a quote that opens a cell, of a fixed width each."""
        before = b"[" + self._sign(self.delimiter) + b"\\r\\n]"
        return [before + self._blank * blanks for blanks in range(MOST_BLANKS + 1)]

    @cached_property
    def sound(self) -> re.Pattern[bytes]:
        """All of a file up to a quoted cell that is not whole or not sound."""
        quote, escape = self._sign(self.quote), self._sign(self.escape)
        ends = b"[" + self._sign(self.delimiter) + b"\\r\\n]"
        parts = [b"[^" + quote + escape + b"]++"]
        parts += [escape + b"(?s:.)"] if escape else []
        # A quote within a cell is a sign like others.
        parts += [b"".join(b"(?<!" + signs + b")" for signs in self.opens) + quote]
        # Of a quoted cell only blanks stand behind its end.
        parts += [b"(?<=" + ends + b")" + self.quoted + b"(?=" + self._blank + b"*+" + ends + b")"]
        return re.compile(b"(?:" + b"|".join(parts) + b")*+")

    @property
    def _blank(self) -> bytes:
        return b"[" + b" \t".replace(self.delimiter.encode(), b"") + b"]"

    def _sign(self, sign: str | None) -> bytes:
        return re.escape(sign or "").encode()

    @property
    def close(self) -> str:
        """What to do about a quote that is not closed."""
        twice = "write a quote twice" if self.double else f"write {self.escape} before a quote"
        plain = "Where quotes are signs like others, set read.quote_char=null."
        return f"Close the quote; inside a quoted cell {twice}. {plain}"


@dataclass(frozen=True)
class CsvText:
    """One file."""

    filesystem: FileSystem
    path: str
    dialect: Dialect
    encoding: str
    skip_rows: int
    column_names: list[Any] | None

    def open(self) -> pa.NativeFile:
        """The file as UTF-8; where that is none, reading it raises UnicodeError."""
        file = self.filesystem.open_input_stream(self.path)
        if self.encoding == UTF_8:
            return file
        return pa.transcoding_input_stream(file, self.encoding, "utf8")

    def undecodable(self, error: UnicodeError) -> Unreadable:
        """What is wrong where `error` came up, with the line and the byte that tell it."""
        lines, what = 1, str(error)
        decoder = codecs.getincrementaldecoder(self.encoding)()
        with self.filesystem.open_input_stream(self.path) as file:
            try:
                while block := file.read(BLOCK_BYTES):
                    lines += decoder.decode(block).count("\n")
                decoder.decode(b"", True)
            except UnicodeDecodeError as exact:
                before, byte = exact.object[: exact.start], exact.object[exact.start]
                lines += before.decode(self.encoding, "replace").count("\n")
                what = f"line {lines} has the byte 0x{byte:02x}, which is none of it"
            except UnicodeError:  # the whole has no mark at its beginning
                pass
        return Unreadable(
            f"is not text in {self.encoding}: {what}",
            "Set read.encoding to the encoding that the file was written with.",
        )

    def header(self) -> list[str]:
        if self.column_names is not None:
            return list(map(str, self.column_names))
        _, names = next(self.rows(), (0, []))
        if any("\udc80" <= sign <= "\udcff" for sign in "".join(names)):
            raise Unreadable(
                "has column names that are not UTF-8",
                "Save the file as UTF-8, or set read.encoding, for example to cp1252.",
            )
        return names

    def check_headers(self) -> None:
        """Refuse a header that stands once more among the rows."""
        rows = self.rows()
        _, header = next(rows)
        same = (line for line, (first, *more) in rows if [first.lstrip(MARK), *more] == header)
        again = next(same, None)
        if again is not None:
            raise Unreadable(
                f"repeats its header in line {again}",
                "Remove that line: concatenated files keep only the first header.",
            )

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not blank, and the line on which it starts."""
        csv.field_size_limit(2 * BLOCK_BYTES)  # what pyarrow takes must pass here
        dialect = self.dialect
        with self.open() as file:
            text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
            before = sum(1 for _ in islice(text, self.skip_rows))
            skipped = before
            reader = csv.reader(
                text,
                delimiter=dialect.delimiter,
                quotechar=dialect.quote,
                quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
                doublequote=dialect.double,
                escapechar=dialect.escape,
            )
            try:
                for row in reader:
                    if row:
                        yield before + 1, row
                    before = skipped + reader.line_num
            except csv.Error as error:  # of a cell that is larger than the limit
                raise self._too_large() from error

    def explained(self, error: str) -> Unreadable:
        """What Arrow's reader says of the file, in the user's words."""
        nul = self._line_of_nul()
        if nul is not None:  # it makes the reader miss the ends of lines
            return Unreadable(
                f"has a NUL character in line {nul}, which is not text",
                "Leave it out of the cell, or save the table as Parquet.",
            )
        ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", error)
        if ragged:
            row, expected, got = map(int, ragged.groups())
            line, _ = next(islice(self.rows(), row - 1 - self.skip_rows, None), (row, []))
            return Unreadable(
                f"line {line} has {got} cells where the header names {expected} columns",
                "Correct the line; a cell that holds a comma, quote or line end needs quotes.",
            )
        if "straddling" in error:
            return self._too_large()
        return Unreadable(f"cannot be parsed as CSV: {error}", "Check the file in an editor.")

    def _too_large(self) -> Unreadable:
        return Unreadable(
            f"has a cell of more than {BLOCK_BYTES >> 20} MiB, or a quote that is never closed",
            self.dialect.close,
        )

    def _line_of_nul(self) -> int | None:
        before = 0
        with self.open() as file:
            while block := file.read(BLOCK_BYTES):
                if b"\0" in block:
                    return before + block.partition(b"\0")[0].count(b"\n") + 1
                before += block.count(b"\n")
        return None

    def check_quotes(self) -> None:
        """Refuse a quoted cell that does not end with its closing quote, or begins with a blank.

        Where one quote is missing, the next one, which should open a cell, closes this one instead.
        """
        line, before, rest = self._unsound()
        if not rest:
            return
        what, remedy = "a quote that is never closed, before", self.dialect.close
        quoted = re.match(self.dialect.quoted, rest)
        if before in b" \t" and before.decode() != self.dialect.delimiter:
            what = "a blank before the quote of the cell"
            remedy = "Leave out blanks behind commas."
        elif quoted:
            what = "text after the closing quote of the cell that begins with"
            if quoted[0].endswith(b'\\"'):
                remedy = (
                    'Write a quote inside a cell twice, "", not with a backslash before it, '
                    "or set read.escape_char to the backslash."
                )
        begin = rest[1:41].partition(b"\n")[0].decode("utf-8", "replace")
        raise Unreadable(f"line {line} has {what} {begin!r}", remedy)

    def _unsound(self) -> tuple[int, bytes, bytes]:
        """Of the first cell that is not sound its line, the sign before its quote, and all from it
        on. That is b"" where all are sound.
        """
        dialect = self.dialect
        line, place, block = 1 + self.skip_rows, 1, b" "
        with self.open() as file:
            text = file.read(BLOCK_BYTES).removeprefix(BYTE_ORDER_MARK)
            text = b"\n" + text.split(b"\n", self.skip_rows)[-1]
            while block and len(text) - place <= 2 * BLOCK_BYTES:
                block = file.read(BLOCK_BYTES)
                text = text[max(0, place - len(dialect.opens)) :] + (block or b"\n")
                place = min(place, len(dialect.opens))
                sound = dialect.sound.match(text, place)
                assert sound is not None  # it matches an empty text too
                line += text.count(b"\n", place, sound.end())
                place = sound.end()
        return line, text[place - 1 : place], text[place:]
