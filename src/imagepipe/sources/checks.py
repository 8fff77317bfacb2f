"""Checks of a table's columns that ask for no more than its schema."""

from __future__ import annotations

import pyarrow as pa

from imagepipe import prompts
from imagepipe.errors import UserError, did_you_mean, listed
from imagepipe.sources.tables import Table


def check_key(key: str, name: str, schema: pa.Schema, where: str) -> None:
    names = schema.names
    if name not in names:
        split = next((sign for sign in ";\t|" if len(names) == 1 and sign in names[0]), None)
        hint = f"Its cells seem to be separated by {split!r}: use commas. " if split else ""
        raise UserError(
            field=key,
            value=name,
            problem=f"is no column of {where}",
            remedy=f"{hint}{did_you_mean(name, names)}Columns: {listed(names, name)}.",
        )
    kind = schema.field(name).type
    if pa.types.is_nested(kind) or is_binary(kind) or isinstance(kind, pa.BaseExtensionType):
        raise UserError(
            field=key,
            value=name,
            problem=f"holds {kind} in {where}, which is no key",
            remedy="Use a column of text or numbers.",
        )


def is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind)


def check_id_type(name: str, table: Table) -> None:
    kind = table.schema.field(name).type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
        raise UserError(
            field="dataset.id",
            value=name,
            problem=f"holds {kind} in {table.name}",
            remedy="Use a column of text or whole numbers, or save this one as text.",
        )


def check_template(template: str, schema: pa.Schema) -> None:
    for name in prompts.template_columns(template):
        if name not in schema.names:
            raise UserError(
                field="dataset.prompt",
                value=template,
                problem=f"names {name!r}, which is no column",
                remedy=f"{did_you_mean(name, schema.names)}Columns: {listed(schema.names, name)}.",
            )
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or is_binary(kind):
            raise UserError(
                field="dataset.prompt",
                value=template,
                problem=f"names {name!r}, which holds {kind}, not text",
                remedy="Use columns of text or numbers.",
            )


def check_shuffle(left: Table, schema: pa.Schema) -> None:
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
