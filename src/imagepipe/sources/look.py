"""The look at all tables before a run: every error that a whole table can have is found here.

Runs on the driver, without Ray, in streams: a table is never in memory as a whole, only the ids
(or keys) of one that has no more than `dataset.look_through_rows` rows.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.fs import FileSystem

from imagepipe import config, prompts
from imagepipe.config import did_you_mean
from imagepipe.errors import UserError
from imagepipe.sources import contents, files
from imagepipe.sources.format import Unreadable, unify, with_types
from imagepipe.sources.formats import FORMATS
from imagepipe.sources.keys import keys_of
from imagepipe.sources.tables import File, Join, Table, Tables, new_names

# Up to here the right table is copied into the memory of each process that looks rows up.
BROADCAST_ROWS = 1_000_000
BROADCAST_BYTES = 256 << 20


def look(dataset: config.Dataset, limit: int | None) -> Tables:
    """Check all tables of `dataset`, of which the first `limit` rows are wanted.

    Raises UserError for whatever is wrong with a table as a whole, or with the template.
    """
    left, ids = _table(
        _Asked("dataset", dataset.path, dataset.format, (dataset.id,), "id"),
        limit,
        dataset.look_through_rows,
    )
    _check_id_type(dataset.id, left)
    joins: list[Join] = []
    schema = left.schema
    for prefix, join in _joins(dataset):
        joins.append(_join(prefix, join, dataset, schema))
        schema = pa.unify_schemas([schema, _taken(joins[-1])])
    _check_template(dataset.prompt, schema)
    renamed = new_names(schema.names)
    pa.default_memory_pool().release_unused()  # what the ids took; pyarrow would keep it
    tables = Tables(
        left=left,
        joins=tuple(joins),
        id=renamed.get(dataset.id, dataset.id),
        renamed=renamed,
        first_ids=ids,
    )
    if tables.shuffled:
        _check_shuffle(left, schema)
    return tables


@dataclass
class _Asked:
    """A table as the configuration asks for it; `what` its key columns are, for messages."""

    prefix: str
    path: object
    format: str
    keys: tuple[str, ...]
    what: str
    may_repeat: bool = False

    @property
    def field(self) -> str:
        return f"{self.prefix}.path"

    @property
    def key_field(self) -> str:
        return f"{self.prefix}.{self.what}"


def _joins(dataset: config.Dataset) -> Iterator[tuple[str, config.Join]]:
    if dataset.join.path is not None:
        yield "dataset.join", dataset.join
    for number, join in enumerate(dataset.more_joins):
        yield f"dataset.more_joins[{number}]", join


def _join(prefix: str, join: config.Join, dataset: config.Dataset, left: pa.Schema) -> Join:
    names = join.on if isinstance(join.on, list | tuple) else [join.on]
    on = tuple(str(name) for name in names if name is not None)
    if not on:
        raise UserError(
            field=f"{prefix}.on",
            value=join.on,
            problem="names no key column",
            remedy="Name a column that both tables have, or a list of them.",
        )
    for name in on:
        _check_key(f"{prefix}.on", name, left, "the table to the left")
    asked = _Asked(
        prefix, join.path, join.format or dataset.format, on, "on", may_repeat=join.how == "anti"
    )
    table, _ = _table(asked, None, dataset.look_through_rows)
    adds = () if join.how == "anti" else tuple(n for n in table.schema.names if n not in on)
    both = [name for name in adds if name in left.names]
    if both:
        raise UserError(
            field=asked.field,
            value=table.name,
            problem=f"has columns that the left table has too: {', '.join(both)}",
            remedy=f"Rename them, or leave them out of one file; only {', '.join(on)} is shared.",
        )
    method, reason = _method(join.method, table)
    return Join(table=table, on=on, how=join.how, method=method, reason=reason, adds=adds)


def _method(asked: str, table: Table) -> tuple[str, str]:
    """How to join, and a text that says so and why."""
    if asked != "auto":
        method, why = asked, "as configured"
    elif table.rows <= BROADCAST_ROWS and table.size <= BROADCAST_BYTES:
        method, why = "broadcast", "small"
    else:
        method, why = "shuffle", "too large to broadcast"
    size = f"{table.rows:,} rows, {table.size / 1e6:,.1f} MB"
    return method, f"{table.name} joined by {method}, {why} ({size})"


def _table(asked: _Asked, limit: int | None, most: int) -> tuple[Table, tuple[str, ...]]:
    """The table after all checks but those across tables, and its first ids."""
    filesystem, paths = files.find(asked.field, asked.path, FORMATS[asked.format].suffixes)
    scan = _Scan(asked, filesystem, most)
    for path in paths:
        if limit is None or scan.rows < limit:
            _read_through(scan, path)
    _check_types(scan)
    if scan.rows == 0:
        raise UserError(
            field=asked.field,
            value=asked.path,
            problem="has no rows",
            remedy="Give a table with at least one row below its column names.",
        )
    if scan.keys is not None and not asked.may_repeat:
        _check_repeats(asked, scan.keys)
    rows = scan.rows if limit is None else min(limit, scan.rows)
    table = Table(
        name=os.path.basename(paths[0]) if len(paths) == 1 else str(asked.path),
        format=asked.format,
        filesystem=filesystem,
        files=tuple(file for file in scan.files if file.rows),
        schema=with_types(scan.schema),
        rows=rows,
        size=scan.size,
        unique=scan.keys is not None and not asked.may_repeat,
    )
    return table, tuple(scan.first[: config.MOST_SAMPLES])


@dataclass
class _Scan:
    """What has been seen of a table; `keys` is null once there are too many to keep."""

    asked: _Asked
    filesystem: FileSystem
    most: int
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    schemas: dict[str, pa.Schema] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    keys: list[pa.Array] | None = field(default_factory=list)
    first: list[str] = field(default_factory=list)


def _read_through(scan: _Scan, path: str) -> None:
    """Scan one file to its end; anything that is wrong with it becomes a UserError."""
    asked = scan.asked
    with _plain_errors(asked.field, path):
        contents.check(scan.filesystem, path, asked.format, asked.prefix)
        schema = FORMATS[asked.format].schema(scan.filesystem, path)
        _check_header(scan, path, schema)
        scan.schema, scan.schemas[path] = unify([scan.schema, schema], path), schema
        _count(scan, path, schema)
        scan.size += FORMATS[asked.format].size(scan.filesystem, path)


def _check_types(scan: _Scan) -> None:
    """Refuse a Parquet file with values that do not fit the types of all files together.

    Only columns that have another type in it are read. Of other formats no value fails the table:
    CSV is text, and a JSON cell fails its row.
    """
    if scan.asked.format != "parquet":
        return
    for path, schema in scan.schemas.items():
        other = [one.name for one in schema if one.type != scan.schema.field(one.name).type]
        if other:
            with _plain_errors(scan.asked.field, path):
                deque(FORMATS["parquet"].scan(scan.filesystem, path, scan.schema, other), maxlen=0)


@contextmanager
def _plain_errors(field: str, path: str) -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        raise UserError(
            field=field, value=path, problem=error.problem, remedy=error.remedy
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            field=field,
            value=path,
            problem=f"cannot be read: {getattr(error, 'strerror', None) or error}",
            remedy="Check that the file is whole and that you may read it.",
        ) from error


def _count(scan: _Scan, path: str, schema: pa.Schema) -> None:
    rows = 0
    form = FORMATS[scan.asked.format]
    for part, _ in form.scan(scan.filesystem, path, schema, scan.asked.keys):
        rows += part.num_rows
        keys = keys_of(part, scan.asked.keys)
        if len(scan.first) < config.MOST_SAMPLES:
            scan.first += keys.drop_null().slice(0, config.MOST_SAMPLES).to_pylist()
        if scan.keys is not None:
            scan.keys.append(keys)
            if scan.rows + rows > scan.most:
                scan.keys = None
    scan.rows += rows
    scan.files.append(File(path, rows))


def _check_header(scan: _Scan, path: str, schema: pa.Schema) -> None:
    """Refuse column names that repeat, lack a key, or differ from those of the files before."""
    if not schema.names:
        raise Unreadable("has no rows", "Give a table with at least one row.")
    twice = [name for name, number in Counter(schema.names).items() if number > 1]
    if twice:
        raise Unreadable(
            f"has several columns of the name {', '.join(map(repr, twice))}",
            "Give each column a name of its own.",
        )
    for name in scan.asked.keys:
        _check_key(scan.asked.key_field, name, schema, os.path.basename(path))
    differing = set(schema.names) ^ set(scan.schema.names)
    if scan.files and differing and scan.asked.format != "jsonl":
        raise Unreadable(
            f"has not the columns of {scan.files[0].path}: {', '.join(sorted(differing))}",
            "Give all files of one table the same columns.",
        )


def _check_key(key: str, name: str, schema: pa.Schema, where: str) -> None:
    names = schema.names
    if name not in names:
        split = next((sign for sign in ";\t|" if len(names) == 1 and sign in names[0]), None)
        hint = f"Its cells seem to be separated by {split!r}: use commas. " if split else ""
        raise UserError(
            field=key,
            value=name,
            problem=f"is no column of {where}",
            remedy=f"{hint}{did_you_mean(name, names)}Columns: {', '.join(names)}.",
        )
    kind = schema.field(name).type
    if pa.types.is_nested(kind) or _is_binary(kind) or isinstance(kind, pa.BaseExtensionType):
        raise UserError(
            field=key,
            value=name,
            problem=f"holds {kind} in {where}, which is no key",
            remedy="Use a column of text or numbers.",
        )


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _check_repeats(asked: _Asked, keys: Sequence[pa.Array]) -> None:
    counts = pa.chunked_array(keys, pa.string()).drop_null().value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated) == 0:
        return
    some = ", ".join(f"{c['values']!r} {c['counts']} times" for c in repeated[:5].to_pylist())
    more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
    raise UserError(
        field=asked.key_field,
        value=", ".join(asked.keys),
        problem=f"is not unique in {asked.path}: {some}{more}",
        remedy="Keep one row of each.",
    )


def _check_id_type(name: str, table: Table) -> None:
    kind = table.schema.field(name).type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
        raise UserError(
            field="dataset.id",
            value=name,
            problem=f"holds {kind} in {table.name}",
            remedy="Use a column of text or whole numbers, or save this one as text.",
        )


def _check_template(template: str, schema: pa.Schema) -> None:
    for name in prompts.template_columns(template):
        if name not in schema.names:
            raise UserError(
                field="dataset.prompt",
                value=template,
                problem=f"names {name!r}, which is no column",
                remedy=f"{did_you_mean(name, schema.names)}Columns: {', '.join(schema.names)}.",
            )
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or _is_binary(kind):
            raise UserError(
                field="dataset.prompt",
                value=template,
                problem=f"names {name!r}, which holds {kind}, not text",
                remedy="Use columns of text or numbers.",
            )


def _check_shuffle(left: Table, schema: pa.Schema) -> None:
    """Refuse a column of a type, such as a tensor, that Ray cannot shuffle.

    Its shuffles begin with an empty table.
    """
    for column in schema:
        try:
            pa.schema([column]).empty_table()
        except NotImplementedError as error:
            raise UserError(
                field="dataset.path",
                value=left.name,
                problem=f"has to be shuffled, and column {column.name!r} of {column.type} cannot",
                remedy="Leave the column out. No shuffle is needed where "
                "dataset.look_through_rows is no less than the rows, and joins are by broadcast.",
            ) from error


def _taken(join: Join) -> pa.Schema:
    return pa.schema([join.table.schema.field(name) for name in join.adds])
