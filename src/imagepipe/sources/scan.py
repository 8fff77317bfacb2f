"""The scan of all tables before a run: every error that a whole table can have is found here.

Runs on the driver, without Ray, in streams: a table is never in memory as a whole, only the ids
(or keys) of one that has no more than `dataset.look_through_rows` rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from imagepipe import config
from imagepipe.errors import UserError, listed
from imagepipe.sources.checks import check_id_type, check_key, check_shuffle, check_template
from imagepipe.sources.scan_table import Request, scan_table
from imagepipe.sources.tables import Join, Table, Tables, new_names

# Up to here the right table is copied into the memory of each process that looks rows up.
BROADCAST_ROWS = 1_000_000
BROADCAST_BYTES = 256 << 20


def scan(dataset: config.Dataset, limit: int | None) -> Tables:
    """Check all tables of `dataset`, of which the first `limit` rows are wanted.

    Raises UserError for whatever is wrong with a table as a whole, or with the template.
    """
    left, ids = scan_table(
        Request("dataset", dataset.path, dataset.format, (dataset.id,), "id"),
        limit,
        dataset.look_through_rows,
    )
    check_id_type(dataset.id, left)
    joins: list[Join] = []
    schema = left.schema
    for prefix, join in _joins(dataset):
        joins.append(_join(prefix, join, dataset, schema))
        schema = pa.unify_schemas([schema, _taken(joins[-1])])
    check_template(dataset.prompt, schema)
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
        check_shuffle(left, schema)
    return tables


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
        check_key(f"{prefix}.on", name, left, "the table to the left")
    request = Request(
        prefix, join.path, join.format or dataset.format, on, "on", may_repeat=join.how == "anti"
    )
    table, _ = scan_table(request, None, dataset.look_through_rows)
    adds = () if join.how == "anti" else tuple(n for n in table.schema.names if n not in on)
    both = [name for name in adds if name in left.names]
    if both:
        raise UserError(
            field=request.field,
            value=table.name,
            problem=f"has columns that the left table has too: {listed(both)}",
            remedy=f"Rename them, or leave them out of one file; only {', '.join(on)} is shared.",
        )
    method, reason = _method(join.method, table)
    return Join(table=table, on=on, how=join.how, method=method, reason=reason, adds=adds)


def _method(wanted: str, table: Table) -> tuple[str, str]:
    """How to join, and a text that says so and why."""
    if wanted != "auto":
        method, why = wanted, "as configured"
    elif table.rows <= BROADCAST_ROWS and table.size <= BROADCAST_BYTES:
        method, why = "broadcast", "small"
    else:
        method, why = "shuffle", "too large to broadcast"
    size = f"{table.rows:,} rows, {table.size / 1e6:,.1f} MB"
    return method, f"{table.name} joined by {method}, {why} ({size})"


def _taken(join: Join) -> pa.Schema:
    return pa.schema([join.table.schema.field(name) for name in join.adds])
