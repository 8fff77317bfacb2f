"""The scan of one table, file by file, and what it finds out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe import config
from imagepipe.errors import UserError, listed
from imagepipe.sources import contents, files, folders
from imagepipe.sources.checks import check_key, check_repeats
from imagepipe.sources.columns import Together, together
from imagepipe.sources.format import Unreadable
from imagepipe.sources.formats import FORMATS, features
from imagepipe.sources.keys import keys_of
from imagepipe.sources.tables import File, Table

# Words that other programs write where there is no value; as text of a CSV they would be drawn.
NO_VALUE = ["NA", "N/A", "#N/A", "NULL", "null", "nan", "NaN", "None", "\\N", "<NA>"]


@dataclass
class Request:
    """A table as the configuration asks for it; `what` its key columns are, for messages.

    `used` decide what becomes of a row, `kept` are the columns whose cells are needed for a join,
    `drawn` those of the template; not all need be in the table. `like` are the types that the keys
    are compared with.
    """

    prefix: str
    path: object
    format: str
    keys: tuple[str, ...]
    what: str
    used: frozenset[str]
    kept: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    like: tuple[pa.DataType, ...] = ()
    may_repeat: bool = False
    may_be_empty: bool = False

    @property
    def field(self) -> str:
        return f"{self.prefix}.path"

    @property
    def key_field(self) -> str:
        return f"{self.prefix}.{self.what}"


@dataclass
class Scanned:
    """A table and what its scan saw: keys as text, and the cells of the `kept` columns by row.

    Both are null where there are more rows than are to be held.
    """

    request: Request
    found: files.Found
    most: int
    folders: tuple[str, ...]
    schemas: dict[str, pa.Schema] = field(default_factory=dict)
    empty: dict[str, pa.Schema] = field(default_factory=dict)  # of files without rows
    files: list[File] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    size: int = 0
    keys: list[pa.Array] | None = field(default_factory=list)
    cells: list[pa.Table] | None = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    not_utf8: list[str] = field(default_factory=list)
    no_value: Counter[str] = field(default_factory=Counter)  # cells that say so, by column
    table: Table = field(init=False)

    def columns(self, path: str, schema: pa.Schema) -> pa.Schema:
        """`schema` with the columns that the file's folders say, in place of its own."""
        return with_folders(schema, self.folders)


def with_folders(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """`schema` with text columns for the folders `names`, in place of such in the files."""
    own = [column for column in schema if column.name not in names]
    return pa.schema([*own, *((name, pa.string()) for name in names)])


def scan_table(request: Request, limit: int | None, most: int) -> Scanned:
    """The table after all checks but those across tables."""
    form = FORMATS[request.format]
    found = files.find(request.field, request.path, form.suffixes)
    scanned = Scanned(request, found, most, folders.columns(found.paths, found.base))
    scanned.left_out.update(found.left_out)
    for path in found.paths:
        if limit is None or scanned.rows < limit:
            _scan_file(scanned, path)
    columns = _columns(scanned)
    if scanned.rows == 0 and not request.may_be_empty:
        raise UserError(
            field=request.field,
            value=request.path,
            problem="has no rows",
            remedy="Give a table with at least one row below its column names.",
        )
    if scanned.keys is not None and not request.may_repeat:
        check_repeats(request.key_field, request.keys, request.path, scanned.keys)
    paths = found.paths
    scanned.table = Table(
        name=os.path.basename(paths[0]) if len(paths) == 1 else str(request.path),
        format=request.format,
        filesystem=found.filesystem,
        files=tuple(file for file in scanned.files if file.rows),
        schema=with_folders(columns.schema, scanned.folders),
        rows=scanned.rows if limit is None else min(limit, scanned.rows),
        size=scanned.size,
        unique=scanned.keys is not None and not request.may_repeat,
        used=request.used,
        base=found.base,
        folders=scanned.folders,
        notes=tuple(_notes(scanned, columns)),
        left_out=scanned.left_out,
        features=features(request.format, found.filesystem, paths[0]),
    )
    return scanned


def _scan_file(scanned: Scanned, path: str) -> None:
    """Scan one file to its end; anything that is wrong with it becomes a UserError."""
    request, filesystem = scanned.request, scanned.found.filesystem
    form = FORMATS[request.format]
    with plain_errors(request.field, path):
        if path in scanned.found.chosen:
            why = contents.no_table(filesystem, path, request.format)
            if why:
                scanned.left_out[path] = why
                return
        contents.check(filesystem, path, request.format, request.prefix)
        schema = form.schema(filesystem, path, request.used)
        _check_header(scanned, path, schema)
        if _count(scanned, path, schema):
            scanned.schemas[path] = schema
        else:  # an empty part says nothing of the columns, but where all are empty
            scanned.empty.setdefault(path, schema)
        scanned.size += form.size(filesystem, path)


def _count(scanned: Scanned, path: str, schema: pa.Schema) -> int:
    """Take in the keys of one file, and how many rows it has."""
    count, request = 0, scanned.request
    drawn = request.drawn if request.format == "csv" else ()
    names = dict.fromkeys((*request.keys, *request.kept, *drawn))
    wanted = [name for name in names if name in schema.names and name not in scanned.folders]
    values = {
        name: value
        for name, value in folders.values(path, scanned.found.base).items()
        if name in scanned.folders
    }
    form = FORMATS[request.format]
    for rows in form.scan(scanned.found.filesystem, path, schema, wanted or schema.names[:1]):
        count += rows.table.num_rows
        if rows.bad_line is not None and path not in scanned.not_utf8:
            scanned.not_utf8.append(path)
        for name in set(drawn) & set(rows.table.column_names):
            says = pc.is_in(rows.table[name], value_set=pa.array(NO_VALUE))
            scanned.no_value[name] += pc.sum(says).as_py() or 0
        _take_in(scanned, folders.with_values(rows.table, values))
        if scanned.rows + count > scanned.most:
            scanned.keys = scanned.cells = None
    scanned.rows += count
    scanned.files.append(File(path, count))
    return count


def _take_in(scanned: Scanned, rows: pa.Table) -> None:
    keys = keys_of(rows, scanned.request.keys, scanned.request.like)
    if len(scanned.first) < config.MOST_SAMPLES:
        scanned.first += keys.drop_null().slice(0, config.MOST_SAMPLES).to_pylist()
    if scanned.keys is not None:
        scanned.keys.append(keys)
    if scanned.cells is not None and scanned.request.kept:
        names = [name for name in scanned.request.kept if name in rows.column_names]
        scanned.cells.append(rows.select(names))


def _columns(scanned: Scanned) -> Together:
    """The columns of all files, of types that all of their values fit."""
    request = scanned.request
    used, as_text = request.used, request.format == "jsonl"
    schemas = scanned.schemas or scanned.empty
    path = next(reversed(schemas), "")
    with plain_errors(request.field, path):
        columns = together(schemas, used, as_text=as_text)
    whole = {one.name: one for one in columns.schema}
    for path, schema in scanned.schemas.items():
        for one in schema:
            left = one.name in whole and one.name not in columns.left_out
            if left and _other(one, whole[one.name]):
                with plain_errors(request.field, path):
                    _check_values(scanned, columns, path, one.name)
    return columns


def _other(here: pa.Field, whole: pa.Field) -> bool:
    return here.type != whole.type and not pa.types.is_null(here.type) and not whole.metadata


def _check_values(scanned: Scanned, columns: Together, path: str, name: str) -> None:
    """See whether the values of one column of a file fit its type in all files together."""
    request = scanned.request
    form = FORMATS[request.format]
    try:
        for rows in form.scan(scanned.found.filesystem, path, columns.schema, [name]):
            if rows.problems:
                columns.keep_as_text(name, request.used)
                return
    except Unreadable as error:
        if name in request.used:
            raise
        columns.leave_out(name, f"of {os.path.basename(path)} {error.problem}")


@contextmanager
def plain_errors(field: str, path: str) -> Iterator[None]:
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


def _check_header(scanned: Scanned, path: str, schema: pa.Schema) -> None:
    """Refuse column names that repeat, and a file that lacks a column which others have."""
    if not schema.names:
        raise Unreadable("has no rows", "Give a table with at least one row.")
    twice = [name for name, number in Counter(schema.names).items() if number > 1]
    if twice:
        raise Unreadable(
            f"has several columns of the name {listed(map(repr, twice))}",
            "Give each column a name of its own.",
        )
    whole = with_folders(schema, scanned.folders)
    for name in scanned.request.keys:
        check_key(scanned.request.key_field, name, whole, os.path.basename(path))
    if not scanned.schemas or scanned.request.format == "jsonl":
        return
    first, before = next(iter(scanned.schemas.items()))
    differing = (set(schema.names) ^ set(before.names)) & scanned.request.used
    differing -= set(scanned.folders)
    if differing:
        raise Unreadable(
            f"has not the columns of {first}: {listed(sorted(differing))}",
            "Give all files of one table the columns that are used.",
        )


def _notes(scanned: Scanned, columns: Together) -> Iterator[str]:
    """What a person should know of the table before it is read."""
    base = scanned.found.base
    if scanned.left_out:
        number = f"{len(scanned.left_out)} of {len(scanned.left_out) + len(scanned.files)} files"
        yield f"{number} are not read: {files.shown(scanned.left_out, base)}"
    for name, why in list(columns.left_out.items())[: files.SHOWN]:
        yield f"column {name!r} is left out: it {why}"
    if len(columns.left_out) > files.SHOWN:
        yield f"{len(columns.left_out) - files.SHOWN} more columns are left out"
    for name, cells in (+scanned.no_value).items():
        yield (
            f"{cells:,} of the cells of {name!r} say that a value is missing (NA, NULL, ...), "
            "and are drawn as they stand"
        )
    if scanned.not_utf8:
        first, more = scanned.not_utf8[0], len(scanned.not_utf8) - 1
        others = f" and {more} more files hold" if more else " holds"
        yield (
            f"{os.path.basename(first)}{others} bytes that are not UTF-8: they are kept as U+FFFD, "
            "and fail a row whose id, key or prompt they stand in. Save the file as UTF-8"
        )


def without(table: Table, columns: Mapping[str, str]) -> Table:
    """`table` without `columns`, which say why."""
    if not columns:
        return table
    schema = pa.schema([column for column in table.schema if column.name not in columns])
    notes = [f"column {name!r} is left out: it {why}" for name, why in columns.items()]
    return replace(table, schema=schema, notes=(*table.notes, *notes))
