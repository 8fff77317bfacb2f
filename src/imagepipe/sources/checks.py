"""Checks of a table's columns and keys, and the columns that a shuffle cannot carry."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe import prompts
from imagepipe.config.models import PICTURE_KEY
from imagepipe.errors import UserError, did_you_mean, listed, shown
from imagepipe.prompts import seeds
from imagepipe.sources.blocks import scanned
from imagepipe.sources.columns import brief
from imagepipe.sources.tables import Table, Tables
from imagepipe.sources.unreadable import Unreadable

FIRST = 1000  # rows whose seeds are looked at before the run


def check_key(key: str, name: str, schema: pa.Schema, where: str, wanted: str = "a key") -> None:
    """Raise UserError if the column `name` cannot be a key of `where`, or what is `wanted`."""
    names = schema.names
    if name not in names:
        raise UserError(
            field=key,
            value=name,
            problem=f"is not a column of {where}",
            remedy=f"{_separator(key, names)}{did_you_mean(name, names)}"
            f"Columns: {listed(names, name)}.",
        )
    kind = schema.field(name).type
    if pa.types.is_struct(kind):
        hint = "If it is pandas' to_json(), write it with orient='records', lines=True. "
    else:
        hint = ""
    if _is_no_text(kind):
        raise UserError(
            field=key,
            value=name,
            problem=f"holds {brief(kind)} in {where}, which is not {wanted}",
            remedy=f"{hint}Use a column of text or numbers.",
        )


def _separator(key: str, names: Sequence[str]) -> str:
    """A hint where the whole header seems to be cut at another sign than the one between cells."""
    signs = ";\t|" if len(names) > 1 else ";\t|,"
    split = next((sign for sign in signs if names and all(sign in name for name in names)), None)
    split = split or next((sign for sign in signs if sign in "".join(names[:1])), None)
    read = key.rpartition(".")[0] + ".read"
    if names and (excels := re.fullmatch(r"sep=(\S)?", names[0])):  # which Excel writes first
        named = f"delimiter: {excels[1]!r}, " if excels[1] else ""
        return f"The first line is for Excel: {read}={{{named}skip_rows: 1}}. "
    if names and names[0].startswith("#"):
        return f"The first line seems to be a remark: {read}={{skip_rows: 1}}. "
    return (
        f"Cells seem to be separated by {split!r}: {read}={{delimiter: {split!r}}}. "
        if split
        else ""
    )


def is_binary(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _is_no_text(kind: pa.DataType) -> bool:
    """Whether a cell is several values, bytes, or of another library's type, such as a tensor."""
    several = pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType)
    return several or is_binary(kind)


def check_id_type(name: str, table: Table) -> None:
    kind = table.schema.field(name).type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
        raise UserError(
            field="dataset.id",
            value=name,
            problem=f"holds {brief(kind)} in {table.name}",
            remedy="Use a column of text or whole numbers, or save this one as text.",
        )


def check_columns(columns: Mapping[str, str], schema: pa.Schema) -> None:
    """Of `model.columns`: what each names has to be there, with one value a cell."""
    for key, name in columns.items():
        if name not in schema.names:
            raise UserError(
                field=f"model.columns.{key}",
                value=name,
                problem="is not a column",
                remedy=f"{did_you_mean(name, schema.names)}Columns: {listed(schema.names, name)}.",
            )
        kind = schema.field(name).type
        if PICTURE_KEY.fullmatch(key):
            _check_pictures(key, name, kind)
        elif _is_no_text(kind):
            raise UserError(
                field=f"model.columns.{key}",
                value=name,
                problem=f"holds {brief(kind)}, not text or numbers",
                remedy="Name a column with one value in each cell.",
            )


def check_seeds(name: str, tables: Tables) -> None:
    """Raise UserError if none of the first rows has a seed in the column `name` of
    `model.columns`. Empty cells are none that is wrong: such rows have the seed of their id.
    """
    of = {one: join.table for join in tables.joins for one in join.adds}
    table = of.get(name, tables.left)
    parts = chain.from_iterable(scanned(table, file, [name]) for file in table.files)
    with suppress(Unreadable, OSError, pa.ArrowException):  # the run says what it cannot read
        for part in islice(parts, 1):
            _check_seeds(name, part.table.slice(0, FIRST))


def _check_seeds(name: str, rows: pa.Table) -> None:
    bad = seeds.of_rows(rows, 0, name, name)[1]
    if bad and all(bad):
        cell = rows[name][0].as_py()
        raise UserError(
            field="model.columns.seed",
            value=name,
            problem=f"holds no seed in its first {len(bad):,} rows, but {shown(cell, 40)!r}; a "
            f"seed is a whole number from 0 to {seeds.MOST}",
            remedy="Name a column of such numbers, or leave it out: the run's seed and the id then "
            "make each row's.",
        )


def _check_pictures(key: str, name: str, kind: pa.DataType) -> None:
    """Texts, bytes, or the two as Hugging Face's data sets have them: {bytes, path}."""
    held = [*kind] if pa.types.is_struct(kind) else [pa.field("", kind)]
    known = [one for one in held if one.name in ("", "bytes", "path")]
    text = (pa.types.is_string, pa.types.is_large_string)
    if known and all(is_binary(o.type) or any(is_(o.type) for is_ in text) for o in known):
        return
    raise UserError(
        field=f"model.columns.{key}",
        value=name,
        problem=f"holds {brief(kind)}, which are not pictures",
        remedy="Name a column of paths, of URLs, or of pictures as bytes or Hugging Face's Image.",
    )


def check_template(field: str, template: prompts.Template, schema: pa.Schema) -> None:
    """Of the key `field`: the columns that it names have to be there, with text or numbers."""
    for name in template.columns:
        if name not in schema.names:
            raise UserError(
                field=field,
                value=template.text,
                problem=f"names {name!r}, which is not a column",
                remedy=f"{did_you_mean(name, schema.names)}Columns: {listed(schema.names, name)}.",
            )
        kind = schema.field(name).type
        if _is_no_text(kind):
            raise UserError(
                field=field,
                value=template.text,
                problem=f"names {name!r}, which holds {brief(kind)}, not text",
                remedy="Use columns of text or numbers.",
            )


def cannot_be_shuffled(schema: pa.Schema) -> dict[str, str]:
    """The columns of a type, such as a tensor, that Ray cannot shuffle, and why.

    Its shuffles begin with an empty table.
    """
    found = {}
    for column in schema:
        try:
            pa.schema([column]).empty_table()
        except NotImplementedError:
            found[column.name] = f"holds {brief(column.type)}, which Ray cannot shuffle"
    return found


def check_repeats(field: str, names: Sequence[str], path: object, keys: Sequence[pa.Array]) -> None:
    """Raise UserError if one of `keys`, of the columns `names` in `path`, is there twice."""
    counts = pa.chunked_array(keys, pa.string()).drop_null().value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated) == 0:
        return
    some = ", ".join(f"{c['values']!r} {c['counts']} times" for c in repeated[:5].to_pylist())
    more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
    raise UserError(
        field=field,
        value=", ".join(names),
        problem=f"is not unique in {path}: {some}{more}",
        remedy="Keep one row of each.",
    )
