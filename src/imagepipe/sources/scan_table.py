"""The scan of one table, file by file, and what it finds out."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.fs import FileSystem

from imagepipe import config
from imagepipe.errors import UserError, listed
from imagepipe.sources import contents, files
from imagepipe.sources.checks import check_key
from imagepipe.sources.format import Unreadable, unify, with_types
from imagepipe.sources.formats import FORMATS
from imagepipe.sources.keys import keys_of
from imagepipe.sources.tables import File, Table


@dataclass
class Request:
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


def scan_table(request: Request, limit: int | None, most: int) -> tuple[Table, tuple[str, ...]]:
    """The table after all checks but those across tables, and its first ids."""
    filesystem, paths = files.find(request.field, request.path, FORMATS[request.format].suffixes)
    found = _Found(request, filesystem, most)
    for path in paths:
        if limit is None or found.rows < limit:
            _scan_file(found, path)
    _check_types(found)
    if found.rows == 0:
        raise UserError(
            field=request.field,
            value=request.path,
            problem="has no rows",
            remedy="Give a table with at least one row below its column names.",
        )
    if found.keys is not None and not request.may_repeat:
        _check_repeats(request, found.keys)
    rows = found.rows if limit is None else min(limit, found.rows)
    table = Table(
        name=os.path.basename(paths[0]) if len(paths) == 1 else str(request.path),
        format=request.format,
        filesystem=filesystem,
        files=tuple(file for file in found.files if file.rows),
        schema=with_types(found.schema),
        rows=rows,
        size=found.size,
        unique=found.keys is not None and not request.may_repeat,
    )
    return table, tuple(found.first[: config.MOST_SAMPLES])


@dataclass
class _Found:
    """What has been seen of a table; `keys` is null once there are too many to keep."""

    request: Request
    filesystem: FileSystem
    most: int
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    schemas: dict[str, pa.Schema] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    keys: list[pa.Array] | None = field(default_factory=list)
    first: list[str] = field(default_factory=list)


def _scan_file(found: _Found, path: str) -> None:
    """Scan one file to its end; anything that is wrong with it becomes a UserError."""
    request = found.request
    with _plain_errors(request.field, path):
        contents.check(found.filesystem, path, request.format, request.prefix)
        schema = FORMATS[request.format].schema(found.filesystem, path)
        _check_header(found, path, schema)
        found.schema, found.schemas[path] = unify([found.schema, schema], path), schema
        _count(found, path, schema)
        found.size += FORMATS[request.format].size(found.filesystem, path)


def _check_types(found: _Found) -> None:
    """Refuse a Parquet file with values that do not fit the types of all files together.

    Only columns that have another type in it are read. Of other formats no value fails the table:
    CSV is text, and a JSON cell fails its row.
    """
    if found.request.format != "parquet":
        return
    for path, schema in found.schemas.items():
        other = [one.name for one in schema if one.type != found.schema.field(one.name).type]
        if other:
            with _plain_errors(found.request.field, path):
                deque(
                    FORMATS["parquet"].scan(found.filesystem, path, found.schema, other), maxlen=0
                )


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


def _count(found: _Found, path: str, schema: pa.Schema) -> None:
    rows = 0
    form = FORMATS[found.request.format]
    for part, _ in form.scan(found.filesystem, path, schema, found.request.keys):
        rows += part.num_rows
        keys = keys_of(part, found.request.keys)
        if len(found.first) < config.MOST_SAMPLES:
            found.first += keys.drop_null().slice(0, config.MOST_SAMPLES).to_pylist()
        if found.keys is not None:
            found.keys.append(keys)
            if found.rows + rows > found.most:
                found.keys = None
    found.rows += rows
    found.files.append(File(path, rows))


def _check_header(found: _Found, path: str, schema: pa.Schema) -> None:
    """Refuse column names that repeat, lack a key, or differ from those of the files before."""
    if not schema.names:
        raise Unreadable("has no rows", "Give a table with at least one row.")
    twice = [name for name, number in Counter(schema.names).items() if number > 1]
    if twice:
        raise Unreadable(
            f"has several columns of the name {listed(map(repr, twice))}",
            "Give each column a name of its own.",
        )
    for name in found.request.keys:
        check_key(found.request.key_field, name, schema, os.path.basename(path))
    differing = set(schema.names) ^ set(found.schema.names)
    if found.files and differing and found.request.format != "jsonl":
        raise Unreadable(
            f"has not the columns of {found.files[0].path}: {listed(sorted(differing))}",
            "Give all files of one table the same columns.",
        )


def _check_repeats(request: Request, keys: Sequence[pa.Array]) -> None:
    counts = pa.chunked_array(keys, pa.string()).drop_null().value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated) == 0:
        return
    some = ", ".join(f"{c['values']!r} {c['counts']} times" for c in repeated[:5].to_pylist())
    more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
    raise UserError(
        field=request.key_field,
        value=", ".join(request.keys),
        problem=f"is not unique in {request.path}: {some}{more}",
        remedy="Keep one row of each.",
    )
