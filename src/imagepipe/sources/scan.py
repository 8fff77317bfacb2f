"""The scan of all tables before a run: finds every error that concerns a table as a whole.

It runs on the driver, without Ray, in streams: a table is never in memory as a whole, only the ids
(or keys) of a table with at most `dataset.scan_rows` rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from imagepipe import config, prompts
from imagepipe.config.models import SEED, is_template
from imagepipe.errors import UserError, listed
from imagepipe.sources import formats, multiply
from imagepipe.sources.checks import (
    cannot_be_shuffled,
    check_columns,
    check_id_type,
    check_key,
    check_seeds,
    check_template,
)
from imagepipe.sources.overlap import overlap
from imagepipe.sources.scan_table import Request, Scanned, scan_table, without
from imagepipe.sources.tables import Join, Table, Tables, new_names

# Up to here the right table is copied into the memory of each process that looks rows up.
BROADCAST_ROWS = 1_000_000
BROADCAST_BYTES = 256 << 20


def scan(
    dataset: config.Dataset, limit: int | None, columns: Mapping[str, str] | None = None
) -> Tables:
    """Check all tables of `dataset`, of which the first `limit` rows are wanted.

    `columns` are those of `model.columns`: they decide what is drawn, as those of the template do.

    Raises UserError for whatever is wrong with a table as a whole, or with the template.
    """
    template = prompts.varied(dataset.prompt, dataset.wildcards)
    texts, columns = _texts(columns or {}, dataset.wildcards)
    named = dict.fromkeys(name for one in (template, *texts.values()) for name in one.columns)
    keys = {name for _, join in _joins(dataset) for name in _on(join)}
    looked_up = {name for _, join in _joins(dataset) if join.how != "anti" for name in _on(join)}
    request = Request(
        *("dataset", dataset.path, formats.of("dataset", dataset.format, dataset.read)),
        *((dataset.id,), "id"),
        used=frozenset({dataset.id, *named, *keys, *columns.values()}),
        kept=tuple(sorted(looked_up)),
        drawn=tuple(named),
    )
    left = scan_table(request, limit, dataset.scan_rows)
    check_id_type(dataset.id, left.table)
    joins: list[Join] = []
    schema = left.table.schema
    drawn = (tuple(named), tuple(columns.values()))
    for prefix, join in _joins(dataset):
        joins.append(_join(prefix, join, dataset, schema, left, drawn))
        schema = pa.unify_schemas([schema, _taken(joins[-1])])
    if dataset.category is not None:
        check_key("dataset.category", dataset.category, schema, "the tables", "a category")
    check_columns(columns, schema)
    tables = _tables(dataset, template, texts, left, joins)
    for field, one in tables.templates.items():
        check_template(field, one, schema)
    multiply.check(tables, dataset.most_rows, columns)
    if SEED in columns:
        check_seeds(columns[SEED], tables)
        if dataset.repeat > 1 and not tables.varies:
            raise multiply.alike(dataset.repeat, columns[SEED])
    if tables.shuffled:
        tables = _tables(dataset, template, texts, *_shuffled(left, joins))
    pa.default_memory_pool().release_unused()  # what the ids took; pyarrow would keep it
    return tables


def _texts(
    columns: Mapping[str, str], wildcards: str | None
) -> tuple[dict[str, prompts.Template], dict[str, str]]:
    """Of `model.columns` the templates, which have braces, and the columns."""
    of = {key: text for key, text in columns.items() if is_template(key, text)}
    texts = {key: _template(f"model.columns.{key}", text, wildcards) for key, text in of.items()}
    return texts, {key: name for key, name in columns.items() if key not in texts}


def _template(field: str, text: str, wildcards: str | None) -> prompts.Template:
    try:
        return prompts.varied(text, wildcards)
    except UserError as error:
        if error.field != "dataset.prompt":  # but a file
            raise
        problem, remedy = error.problem, error.remedy
        raise UserError(field=field, value=text, problem=problem, remedy=remedy) from None


def _tables(
    dataset: config.Dataset,
    template: prompts.Template,
    texts: Mapping[str, prompts.Template],
    left: Scanned,
    joins: Sequence[Join],
) -> Tables:
    names = [*left.table.schema.names, *(name for join in joins for name in join.adds)]
    renamed = new_names(names)
    return Tables(
        left=left.table,
        joins=tuple(joins),
        id=renamed.get(dataset.id, dataset.id),
        template=template,
        texts=texts,
        category=dataset.category and renamed.get(dataset.category, dataset.category),
        renamed=renamed,
        first_ids=_first_ids(left, dataset.repeat, joins),
        repeat=dataset.repeat,
        notes=(
            *_repeats(dataset, left),
            *left.table.notes,
            *(note for join in joins for note in join.table.notes),
        ),
    )


def _first_ids(left: Scanned, repeat: int, joins: Sequence[Join]) -> tuple[str, ...]:
    ids, most = left.first[: config.MOST_SAMPLES], config.MOST_SAMPLES
    if repeat > 1:
        ids = multiply.first(ids, multiply.REPEAT, repeat, most)
    for join in joins:
        if join.how == "cross":
            ids = multiply.first(ids, multiply.CROSS, join.table.rows, most)
    return tuple(ids)


def _repeats(dataset: config.Dataset, left: Scanned) -> list[str]:
    if dataset.repeat == 1:
        return []
    made = left.table.rows * dataset.repeat
    return [
        f"each row {dataset.repeat} times (dataset.repeat): {left.table.rows:,} become {made:,}"
    ]


def _shuffled(left: Scanned, joins: Sequence[Join]) -> tuple[Scanned, list[Join]]:
    """The tables without the columns that Ray cannot shuffle."""
    left.table = without(left.table, cannot_be_shuffled(left.table.schema))
    slim = []
    for join in joins:
        table = without(join.table, cannot_be_shuffled(join.table.schema))
        adds = tuple(name for name in join.adds if name in table.schema.names)
        slim.append(replace(join, table=table, adds=adds))
    return left, slim


def _joins(dataset: config.Dataset) -> Iterator[tuple[str, config.Join]]:
    if dataset.join.path is not None:
        yield "dataset.join", dataset.join
    for number, join in enumerate(dataset.more_joins):
        yield f"dataset.more_joins[{number}]", join


def _read(join: config.Join, dataset: config.Dataset) -> dict[str, Any]:
    """The options of a joined table; without its own those of the dataset, where it is alike."""
    if join.read is not None:
        return join.read
    return dataset.read if join.format in (None, dataset.format) else {}


def _on(join: config.Join) -> tuple[str, ...]:
    names = join.on if isinstance(join.on, list | tuple) else [join.on]
    return tuple(str(name) for name in names if name is not None)


def _join(
    prefix: str,
    join: config.Join,
    dataset: config.Dataset,
    before: pa.Schema,
    left: Scanned,
    drawn: tuple[tuple[str, ...], tuple[str, ...]],
) -> Join:
    """The join of the columns `before` with a table, and what of it is told before the run."""
    named, columns = drawn
    on = _on(join)
    if join.how == "cross":
        return _cross(prefix, join, dataset, before, drawn)
    if not on:
        raise UserError(
            field=f"{prefix}.on",
            value=join.on,
            problem="names no key column",
            remedy="Name a column that both tables have, or a list of them.",
        )
    for name in on:
        check_key(f"{prefix}.on", name, before, "the table to the left")
    like = tuple(before.field(name).type for name in on)
    form = formats.of(prefix, join.format or dataset.format, _read(join, dataset))
    request = Request(
        *(prefix, join.path, form, on, "on"),
        used=frozenset({*on, *named, *columns}),
        kept=on,
        drawn=named,
        like=like,
        may_repeat=join.how == "anti",
        may_be_empty=join.how != "inner",
    )
    right = scan_table(request, None, dataset.scan_rows)
    table = right.table
    adds = () if join.how == "anti" else tuple(n for n in table.schema.names if n not in on)
    _check_names(request, table, before, adds)
    method, reason = _method(join.method, table)
    made = Join(table, on, join.how, method, reason, adds, like)
    if join.how == "anti":
        return made
    return replace(made, reason=f"{reason}{overlap(made, left, right)}")


def _cross(
    prefix: str,
    join: config.Join,
    dataset: config.Dataset,
    before: pa.Schema,
    drawn: tuple[tuple[str, ...], tuple[str, ...]],
) -> Join:
    """As `_join`, of a table of which every row is taken for each row to the left."""
    named, columns = drawn
    if _on(join):
        raise UserError(
            field=f"{prefix}.on",
            value=join.on,
            problem="has no effect with how=cross, which takes every row",
            remedy="Leave it out, or use how=inner.",
        )
    form = formats.of(prefix, join.format or dataset.format, _read(join, dataset))
    request = Request(
        *(prefix, join.path, form, (), "on"),
        used=frozenset({*named, *columns}),
        drawn=named,
        may_repeat=True,
    )
    table = scan_table(request, None, dataset.scan_rows).table
    adds = tuple(table.schema.names)
    _check_names(request, table, before, adds)
    told = f"{table.name} crossed: each row with all {table.rows:,} of it"
    return Join(table, (), "cross", "broadcast", told, adds, ())


def _check_names(request: Request, table: Table, left: pa.Schema, adds: Sequence[str]) -> None:
    both = [name for name in adds if name in left.names]
    if both:
        raise UserError(
            field=request.field,
            value=table.name,
            problem=f"has columns that the left table has, too: {listed(both)}",
            remedy=f"Rename them, or leave them out of one file; {_shared(request.keys)} shared.",
        )


def _shared(keys: Sequence[str]) -> str:
    names = ", ".join(keys)
    return f"only {names} {'is' if len(keys) == 1 else 'are'}" if keys else "none is"


def _method(wanted: str, table: Table) -> tuple[str, str]:
    """How to join, and a text that says so and why."""
    if table.rows == 0:
        method, why = "broadcast", "empty"
    elif wanted != "auto":
        method, why = wanted, "as configured"
    elif table.rows <= BROADCAST_ROWS and table.size <= BROADCAST_BYTES:
        method, why = "broadcast", "small"
    else:
        method, why = "shuffle", "too large to broadcast"
    size = f"{table.rows:,} rows, {table.size / 1e6:,.1f} MB"
    return method, f"{table.name} joined by {method}, {why} ({size})"


def _taken(join: Join) -> pa.Schema:
    return pa.schema([join.table.schema.field(name) for name in join.adds])
