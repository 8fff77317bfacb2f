"""The scan of one table, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe import config
from imagepipe.errors import UserError, did_you_mean, listed
from imagepipe.sources import folders
from imagepipe.sources.checks import check_key, check_repeats
from imagepipe.sources.columns import Together, together
from imagepipe.sources.files import Found
from imagepipe.sources.formats.base import BadOption, Format
from imagepipe.sources.keys import keys_of
from imagepipe.sources.notes import notes
from imagepipe.sources.tables import File, Table
from imagepipe.sources.unreadable import Unreadable

# Words that other programs write where there is no value; as text of a CSV they would be drawn.
NO_VALUE = [
    *("NA", "N/A", "n/a", "NULL", "null", "Null", "(null)", "nan", "NaN", "NAN", "NaT", "nil"),
    *("None", "none", "undefined", "\\N", "<NA>", "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!"),
    "#NUM!",
]


@dataclass
class Request:
    """A table as the configuration asks for it; `what` its key columns are, for messages.

    `used` decide what becomes of a row, `kept` are the columns whose cells are needed for a join,
    `drawn` those of the template; not all need be in the table. `like` are the types that the keys
    are compared with.
    """

    prefix: str
    path: object
    form: Format
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

    Both are null if there are more rows than are to be held.
    """

    request: Request
    found: Found
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
    with plain_errors(request, request.path):
        request.form, found = request.form.find(request.field, request.path)
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
        name=request.form.title(paths[0]) if len(paths) == 1 else str(request.path),
        form=request.form,
        filesystem=found.filesystem,
        files=tuple(file for file in scanned.files if file.rows),
        schema=with_folders(columns.schema, scanned.folders),
        rows=scanned.rows if limit is None else min(limit, scanned.rows),
        size=scanned.size,
        unique=scanned.keys is not None and not request.may_repeat,
        used=request.used,
        base=found.base,
        folders=scanned.folders,
        notes=tuple(notes(scanned, columns)),
        left_out=scanned.left_out,
        features=request.form.features(found.filesystem, paths[0]),
    )
    return scanned


def _scan_file(scanned: Scanned, path: str) -> None:
    """Scan one file to its end; anything that is wrong with it becomes a UserError."""
    request, filesystem = scanned.request, scanned.found.filesystem
    form = request.form
    with plain_errors(request, path):
        why = form.no_table(filesystem, path) if path in scanned.found.chosen else None
        if why:
            scanned.left_out[path] = why
            return
        form.check(filesystem, path, request.prefix)
        schema = _chosen(scanned, form.schema(filesystem, path, request.used))
        _check_header(scanned, path, schema)
        if _count(scanned, path, schema):
            scanned.schemas[path] = schema
        else:  # an empty part says nothing of the columns, but where all are empty
            scanned.empty.setdefault(path, schema)
        scanned.size += form.size(filesystem, path)


def _count(scanned: Scanned, path: str, schema: pa.Schema) -> int:
    """Take in the keys of one file, and how many rows it has."""
    count, request = 0, scanned.request
    drawn = request.drawn if request.form.is_text else ()
    names = dict.fromkeys((*request.keys, *request.kept, *drawn))
    wanted = [name for name in names if name in schema.names and name not in scanned.folders]
    values = {
        name: value
        for name, value in folders.values(path, scanned.found.base).items()
        if name in scanned.folders
    }
    what = (scanned.found.filesystem, path, schema, wanted or schema.names[:1])
    for rows in request.form.scan(*what):
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
    if not scanned.request.keys:  # of a table that is not looked up in
        return
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
    used, as_text = request.used, request.form.loose
    schemas = scanned.schemas or scanned.empty
    path = next(reversed(schemas), "")
    with plain_errors(request, path):
        columns = together(schemas, used, as_text=as_text)
    whole = {one.name: one for one in columns.schema}
    for path, schema in scanned.schemas.items():
        for one in schema:
            left = one.name in whole and one.name not in columns.left_out
            if left and _other(one, whole[one.name]):
                with plain_errors(request, path):
                    _check_values(scanned, columns, path, one.name)
    return columns


def _other(here: pa.Field, whole: pa.Field) -> bool:
    return here.type != whole.type and not pa.types.is_null(here.type) and not whole.metadata


def _check_values(scanned: Scanned, columns: Together, path: str, name: str) -> None:
    """See whether the values of one column of a file fit its type in all files together."""
    request = scanned.request
    try:
        for rows in request.form.scan(scanned.found.filesystem, path, columns.schema, [name]):
            if rows.problems:
                columns.keep_as_text(name, request.used)
                return
    except Unreadable as error:
        if name in request.used:
            raise
        columns.leave_out(name, f"of {os.path.basename(path)} {error.problem}")


@contextmanager
def plain_errors(request: Request, path: object) -> Iterator[None]:
    """UserErrors of the table's section for what is raised while `path` is read."""
    field = request.field
    try:
        yield
    except BadOption as error:
        raise error.of(request.prefix) from error
    except Unreadable as error:
        raise UserError(
            field=field, value=path, problem=error.problem, remedy=error.remedy
        ) from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last of a name
        raise UserError(
            field=field,
            value=path,
            problem=f"cannot be read: {getattr(error, 'strerror', None) or error}",
            remedy="Check that the file is whole and that you may read it.",
        ) from error


def _chosen(scanned: Scanned, schema: pa.Schema) -> pa.Schema:
    """The columns of one file that the option `columns` names; all without it."""
    names = scanned.request.form.columns
    if names is None:
        return schema
    there = [*schema.names, *scanned.folders]
    for name in names:
        if name not in there:
            raise BadOption(
                *("columns", name, "is not a column of the table"),
                f"{did_you_mean(str(name), there)}Columns: {listed(there, str(name))}.",
            )
    return pa.schema([column for column in schema if column.name in names], schema.metadata)


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
    if not scanned.schemas or scanned.request.form.loose:
        return
    first, before = next(iter(scanned.schemas.items()))
    differing = (set(schema.names) ^ set(before.names)) & scanned.request.used
    differing -= set(scanned.folders)
    if differing:
        raise Unreadable(
            f"does not have the columns of {first}: {listed(sorted(differing))}",
            "Give all files of one table the columns that are used.",
        )


def without(table: Table, columns: Mapping[str, str]) -> Table:
    """`table` without `columns`, which say why."""
    if not columns:
        return table
    schema = pa.schema([column for column in table.schema if column.name not in columns])
    notes = [f"column {name!r} is left out: it {why}" for name, why in columns.items()]
    return replace(table, schema=schema, notes=(*table.notes, *notes))
