"""JSON Lines tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.csv as pc_csv
from pyarrow.fs import FileSystem

from imagepipe.sources import contents
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.base import AS_JSON, AS_TEXT, KEPT, NOT_UTF8, FileFormat, Rows
from imagepipe.sources.formats.broken import Signs
from imagepipe.sources.formats.csv import stream
from imagepipe.sources.formats.csv_text import BLOCK_BYTES
from imagepipe.sources.formats.kinds import (
    KINDS,
    NO_VALUE,
    NOTHING,
    NUMBER,
    TEXT,
    Column,
    cell_text,
    json_text,
)
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset

LINE = "imagepipe_line"
NO_DELIMITER = "\x01"  # stands in no JSON text, which escapes control characters


@dataclass(frozen=True)
class Jsonl(FileFormat):
    """One JSON object a line; a missing key is null.

    A column whose cells are of several kinds is kept as text where it is used, so that 7 and "7b"
    may be ids, and a list or an object in it fails its row. Others are kept as JSON text.
    """

    name: ClassVar[str] = "jsonl"
    loose: ClassVar[bool] = True
    suffixes: ClassVar[Suffixes] = Suffixes((".jsonl", ".ndjson", ".json"), compressed=True)

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        """Writers put a description of the table beside its lines."""
        head = self.head(filesystem, path)
        if not contents.is_json(head) and document(filesystem, path) is not None:
            return "is one JSON document, not a line a row"
        return None if head else "is empty"

    def lines(self, filesystem: FileSystem, path: str) -> Iterator[pa.Table]:
        """The objects of a file as JSON text, in the column LINE."""
        try:
            with filesystem.open_input_stream(path) as file:
                yield from stream(file, _line_options())
        except pa.ArrowInvalid as error:
            raise Unreadable(
                f"cannot be read as lines of at most {BLOCK_BYTES >> 20} MiB: {error}",
                "Write one JSON object a line.",
            ) from error

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        columns: dict[str, Column] = {}
        before = 0
        for raw in self.lines(filesystem, path):
            cells: dict[str, list[Any]] = {}
            for row, _ in _objects(raw[LINE].to_pylist(), before):
                for name, value in row.items():
                    cells.setdefault(name, []).append(value)
            for name, values in cells.items():
                columns.setdefault(name, Column()).see(values)
            before += raw.num_rows
        return pa.schema([column.field(name, name in used) for name, column in columns.items()])

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        for raw in self.lines(filesystem, path):
            yield self.decode(raw, part)

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows, parsed = Rows(raw), []
        for number, (row, original) in enumerate(_objects(raw[LINE].to_pylist())):
            parsed.append(row)
            for name, cell in original.items():
                rows.spoil(name, number, NOT_UTF8, cell)
                rows.bad_line = number + 1
        columns = [_column([row.get(one.name) for row in parsed], one, rows) for one in schema]
        rows.table = pa.table(columns, schema=schema)
        return rows

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        return ray.data.read_csv(paths, filesystem=filesystem, **options, **_line_options())


def _line_options() -> dict[str, Any]:
    return {
        "read_options": pc_csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=[LINE]
        ),
        "parse_options": pc_csv.ParseOptions(
            delimiter=NO_DELIMITER, quote_char=False, ignore_empty_lines=False
        ),
        "convert_options": pc_csv.ConvertOptions(column_types={LINE: pa.binary()}),
    }


def document(filesystem: FileSystem, path: str) -> Any:
    """The JSON document that a file is, of at most 1 MiB as descriptions of tables are; or null."""
    with filesystem.open_input_stream(path) as stream:
        text = stream.read(1 << 20)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _objects(
    lines: Sequence[bytes], before: int = 0
) -> Iterator[tuple[dict[str, Any], dict[str, bytes]]]:
    """The object of each line that is not blank, and the cells of it that are no UTF-8."""
    for number, line in enumerate(lines, before + 1):
        if not line.strip():
            continue
        line = line.removeprefix(contents.BYTE_ORDER_MARK)  # where files were joined
        text = line.decode("utf-8", "replace")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unreadable(
                f"line {number} is not JSON: {error}", "Write one JSON object a line."
            ) from error
        if not isinstance(value, dict):
            raise Unreadable(
                f"line {number} is not an object but: {text[:40]}",
                'Write one JSON object a line: {"id": "1", "what": "a cat"}.',
            )
        yield _mended(value, line, text)


def _mended(
    value: dict[str, Any], line: bytes, text: str
) -> tuple[dict[str, Any], dict[str, bytes]]:
    bad = "\ufffd" in text and text.encode() != line
    if "\\u" in text:  # half of a surrogate pair is no text
        whole = json.dumps(value, ensure_ascii=False)
        clean = whole.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        if clean != whole:
            bad, value = True, json.loads(clean)
    if not bad:
        return value, {}
    signs = Signs.beside(text, json.dumps(value, ensure_ascii=False))
    cells = json.loads(signs.read(line)).values()
    original = {name: signs.cell(cell) for name, cell in zip(value, cells, strict=False)}
    return value, {name: cell for name, cell in original.items() if cell != signs.cell(value[name])}


def _column(values: list[Any], field: pa.Field, rows: Rows) -> pa.Array:
    """`values` as a column; what is not of its type is noted in `rows`, and null."""
    kept = (field.metadata or {}).get(KEPT)
    if kept == AS_JSON[KEPT]:
        return pa.array(map(json_text, values), pa.string())
    if kept == AS_TEXT[KEPT]:
        for row, value in enumerate(values):
            if isinstance(value, list | dict):
                rows.spoil(field.name, row, f"holds {KINDS[type(value)]}, not text")
        return pa.array(map(cell_text, values), pa.string())
    with suppress(*NO_VALUE):
        return pa.array(values, field.type)
    for row, value in enumerate(values):
        if problem := _problem(value, field.type):
            values[row] = None
            rows.spoil(field.name, row, f"holds {problem}")
    return pa.array(values, field.type)


def _problem(value: Any, wanted: pa.DataType) -> str | None:
    """What `value` is, where it is not of the type `wanted`."""
    kind, usual = KINDS[type(value)], _kind(wanted)
    if kind not in (usual, NOTHING):
        return f"{kind}, not {usual}"
    try:
        pa.array([value], wanted)
    except NO_VALUE as error:
        return f"a value that is not {wanted}: {error}"
    return None


def _kind(of: pa.DataType) -> str:
    if pa.types.is_nested(of):
        return "an object" if pa.types.is_struct(of) else "a list"
    if pa.types.is_string(of):
        return TEXT
    return "true or false" if pa.types.is_boolean(of) else NUMBER
