"""JSON Lines tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pc_csv
from pyarrow.fs import FileSystem

from imagepipe.sources.csv import BLOCK_BYTES, stream
from imagepipe.sources.format import Reasons, Unreadable, plain, unify

if TYPE_CHECKING:
    from ray.data import Dataset

LINE = "line"
NOTHING = "nothing"
KINDS = {
    type(None): NOTHING,
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}
NO_VALUE = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError)  # of a type
NO_DELIMITER = "\x01"  # stands in no JSON text, which escapes control characters


class Jsonl:
    """One JSON object a line; a missing key is null.

    A column's type is that of most of its cells (whole numbers and others are one); a cell of
    another kind, such as a list among texts, fails its row.
    """

    suffixes: tuple[str, ...] = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".jsonl.zst")

    def schema(self, filesystem: FileSystem, path: str) -> pa.Schema:
        types: dict[tuple[str, str], pa.DataType] = {}
        cells: Counter[tuple[str, str]] = Counter()
        before = 0
        for raw in _lines(filesystem, path):
            rows = [row for row, _ in _objects(raw[LINE].to_pylist(), before)]
            place = f"lines {before + 1} to {before + raw.num_rows}"
            for (name, kind), values in _by_kind(rows).items():
                types[name, kind] = _type(name, values, types.get((name, kind)), place)
                cells[name, kind] += len(values) if kind != NOTHING else 0
            before += raw.num_rows
        usual = {name: kind for (name, kind), _ in reversed(cells.most_common())}
        names = dict.fromkeys(name for name, _ in types)
        return plain(pa.schema([(name, types[name, usual[name]]) for name in names]))

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[tuple[pa.Table, Reasons]]:
        part = pa.schema([schema.field(name) for name in wanted])
        for raw in _lines(filesystem, path):
            yield self.decode(raw, part)

    def decode(self, raw: pa.Table, schema: pa.Schema) -> tuple[pa.Table, Reasons]:
        parsed = list(_objects(raw[LINE].to_pylist()))
        reasons = [reason for _, reason in parsed]
        columns = [
            _column([row.get(field.name) for row, _ in parsed], field, reasons) for field in schema
        ]
        return pa.table(columns, schema=schema), reasons

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        return ray.data.read_csv(
            paths,
            filesystem=filesystem,
            partitioning=None,
            **options,
            **_line_options(),
        )

    def size(self, filesystem: FileSystem, path: str) -> int:
        return filesystem.get_file_info(path).size


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


def _lines(filesystem: FileSystem, path: str) -> Iterator[pa.Table]:
    try:
        with filesystem.open_input_stream(path) as file:
            yield from stream(file, _line_options())
    except pa.ArrowInvalid as error:
        raise Unreadable(
            f"cannot be read as lines of at most {BLOCK_BYTES >> 20} MiB: {error}",
            "Write one JSON object a line.",
        ) from error


def _objects(
    lines: Sequence[bytes], before: int = 0
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The object of each line that is not blank, and why its text is unusable, or null."""
    for number, line in enumerate(lines, before + 1):
        if not line.strip():
            continue
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


def _mended(value: dict[str, Any], line: bytes, text: str) -> tuple[dict[str, Any], str | None]:
    bad = "\ufffd" in text and text.encode() != line
    if "\\u" in text:  # half of a surrogate pair is no text
        whole = json.dumps(value, ensure_ascii=False)
        clean = whole.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        if clean != whole:
            bad, value = True, json.loads(clean)
    if not bad:
        return value, None
    names = [name for name, cell in value.items() if "\ufffd" in f"{name}{cell}"]
    return value, f"column {', '.join(map(repr, names))} is not valid UTF-8"


def _by_kind(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[Any]]:
    """The cells of each column that are of one kind."""
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault((name, KINDS[type(value)]), []).append(value)
    return found


def _type(name: str, values: list[Any], before: pa.DataType | None, place: str) -> pa.DataType:
    """The type of cells of one kind, and of those `before`."""
    try:
        kinds = _types(values)
    except OverflowError as error:
        raise Unreadable(
            f"holds a whole number outside of -2**63 to 2**63 - 1 in column {name!r} ({place})",
            "Write it as text.",
        ) from error
    except NO_VALUE as error:
        raise Unreadable(
            f"holds different kinds of values in column {name!r} ({place}): {error}",
            "Give the column one type, for example text everywhere.",
        ) from error
    known = [pa.schema([(name, one)]) for one in (before, *kinds) if one is not None]
    return unify(known, place).field(name).type


def _types(values: list[Any]) -> list[pa.DataType]:
    """The type of `values`, or those of each where only they fit: 2**53 + 1 beside 1.5."""
    with suppress(*NO_VALUE):
        return [pa.array(values).type]
    return list(dict.fromkeys(pa.array([value]).type for value in values))


def _column(values: list[Any], field: pa.Field, reasons: Reasons) -> pa.Array:
    """`values` as a column; null, with a reason, for what is not of the column's type."""
    with suppress(*NO_VALUE):
        return pa.array(values, field.type)
    for row, value in enumerate(values):
        if problem := _problem(value, field.type):
            values[row] = None
            reasons[row] = reasons[row] or f"column {field.name!r} holds {problem}"
    return pa.array(values, field.type)


def _problem(value: Any, wanted: pa.DataType) -> str | None:
    """What `value` is, where it is not of the type `wanted`."""
    kind, usual = KINDS[type(value)], _kind(wanted)
    if kind not in (usual, NOTHING):
        return f"{kind}, not {usual}"
    try:
        pa.array([value], wanted)
    except NO_VALUE as error:
        return f"what is no {wanted}: {error}"
    return None


def _kind(of: pa.DataType) -> str:
    if pa.types.is_nested(of):
        return "an object" if pa.types.is_struct(of) else "a list"
    if pa.types.is_string(of):
        return "text"
    return "true or false" if pa.types.is_boolean(of) else "a number"
