"""CSV tables, and the same with tabs."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
from pyarrow.fs import FileSystem

from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.base import BadOption, FileFormat, Rows, as_text, without
from imagepipe.sources.formats.csv_text import BLOCK_BYTES, MARK, UTF_8, CsvText, Dialect

if TYPE_CHECKING:
    from ray.data import Dataset


@dataclass(frozen=True)
class Csv(FileFormat):
    """Every cell is text, exactly as it stands; the first row names the columns.

    One exception: a CR LF in a quoted cell that a block's end divides becomes a lone CR. Columns
    without a name are left out. The options are those of Arrow's reader.
    """

    delimiter: str = ","
    quote_char: str | None = '"'  # null: quotes are signs like others
    double_quote: bool = True  # a quote inside a quoted cell stands there twice
    escape_char: str | None = None
    encoding: str = UTF_8
    skip_rows: int = 0  # lines before the names of the columns
    column_names: list[Any] | None = None  # of a file without a first row of names
    null_values: list[Any] | None = None  # cells that hold no value

    name: ClassVar[str] = "csv"
    is_text: ClassVar[bool] = True
    suffixes: ClassVar[Suffixes] = Suffixes((".csv",), compressed=True)

    def __post_init__(self) -> None:
        if self.delimiter == r"\t":  # as it is typed in a shell
            object.__setattr__(self, "delimiter", "\t")
        for option in ("delimiter", "quote_char", "escape_char"):
            sign = getattr(self, option)
            if sign is not None and not (len(sign) == 1 and sign.isascii()):
                raise BadOption(option, sign, "is not one ASCII character", "Give one character.")
        try:
            "a".encode(self.encoding)
            object.__setattr__(self, "encoding", codecs.lookup(self.encoding).name)
        except LookupError as error:
            raise BadOption(
                *("encoding", self.encoding, "is not an encoding of text that Python knows"),
                "Give one such as utf-8, cp1252, latin-1, utf-16, shift_jis or gb18030.",
            ) from error
        if self.skip_rows < 0:
            raise BadOption("skip_rows", self.skip_rows, "is below 0", "Give a number of lines.")

    @cached_property
    def dialect(self) -> Dialect:
        return Dialect(self.delimiter, self.quote_char, self.double_quote, self.escape_char)

    def text(self, filesystem: FileSystem, path: str) -> CsvText:
        names = self.column_names
        return CsvText(filesystem, path, self.dialect, self.encoding, self.skip_rows, names)

    def open(self, filesystem: FileSystem, path: str) -> pa.NativeFile:
        return self.text(filesystem, path).open()

    def head(self, filesystem: FileSystem, path: str) -> bytes:
        try:
            return super().head(filesystem, path)
        except UnicodeError as error:
            raise self.text(filesystem, path).undecodable(error) from error

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        header = self.text(filesystem, path).header()
        named = [pa.field(name, pa.string()) for name in header if name.strip()]
        more = len(header) - len(named)
        why = "has no name" if more == 1 else f"has no name, as {more} columns have none"
        return without(named, {"": why} if more else {})

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        options, seen, text = (
            self._options(wanted),
            _Seen(self.quote_char),
            self.text(filesystem, path),
        )
        options["read_options"].encoding = "utf8"  # `text` is that already
        try:
            with text.open() as file:
                for raw in stream(pa.TransformInputStream(file, seen), options):
                    rows = self.decode(raw, part)
                    rows.bad_line = seen.bad_line
                    if self.column_names is None and _may_be_header(rows.table):
                        text.check_headers()
                    yield rows
        except UnicodeError as error:
            raise text.undecodable(error) from error
        except pa.ArrowInvalid as error:
            raise text.explained(str(error)) from error
        if seen.quotes:
            text.check_quotes()

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows = Rows(raw)
        columns = [as_text(raw[name], name, rows) for name in schema.names]
        rows.table = pa.table(columns, schema=schema)
        return rows

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        how = self._options(schema.names)
        return ray.data.read_csv(paths, filesystem=filesystem, **options, **how)

    def _options(self, columns: Sequence[str]) -> dict[str, Any]:
        """How to read `columns` as bytes; one that a file lacks is null."""
        return {
            "read_options": pc_csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                skip_rows=self.skip_rows,
                column_names=self.column_names and [str(name) for name in self.column_names],
                # By another name than Arrow's own, text that is not UTF-8 would be refused.
                encoding="utf8" if self.encoding == UTF_8 else self.encoding,
            ),
            "parse_options": pc_csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char=self.quote_char or False,
                double_quote=self.double_quote,
                escape_char=self.escape_char or False,
                newlines_in_values=True,
            ),
            "convert_options": pc_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.binary()),
                include_columns=list(columns),
                include_missing_columns=True,
                null_values=None if self.null_values is None else list(map(str, self.null_values)),
                strings_can_be_null=self.null_values is not None,
            ),
        }


@dataclass(frozen=True)
class Tsv(Csv):
    """As CSV, with a tab between cells."""

    delimiter: str = "\t"

    name: ClassVar[str] = "tsv"
    suffixes: ClassVar[Suffixes] = Suffixes((".tsv", ".tab"), compressed=True)


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

    def __init__(self, quote: str | None) -> None:
        self.quote = (quote or "").encode()
        self.quotes, self.lines = False, 0
        self.bad_line: int | None = None
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def __call__(self, block: pa.Buffer) -> pa.Buffer:
        content = block.to_pybytes()
        self.quotes = self.quotes or (self.quote != b"" and self.quote in content)
        if self.bad_line is None:
            try:
                self.decoder.decode(content, not content)
            except UnicodeDecodeError as error:
                self.bad_line = self.lines + error.object[: error.start].count(b"\n") + 1
            self.lines += content.count(b"\n")
        return block


def _may_be_header(rows: pa.Table) -> bool:
    """Whether all columns of a row of `rows` hold their own names, as where files were joined."""
    each = ((rows[name], name) for name in rows.column_names)
    alike = [pc.or_(pc.equal(cells, name), pc.equal(cells, MARK + name)) for cells, name in each]
    same = [pc.fill_null(one, False) for one in alike]
    return bool(same) and pc.any(reduce(pc.and_, same)).as_py()
