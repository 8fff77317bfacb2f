"""Scores in the writer: lists with one value per picture, and reasons for missing ones.

`errors` maps the columns that say why something is missing to their stages: scorers, and custom
stages that keep the pictures on which they fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.config import Score, by_error

NO_ERRORS: Mapping[str, str] = {}


def a_picture(table: pa.Table, rows: pa.Table, scores: Sequence[Score]) -> pa.Table:
    """`table` with one row per picture, with that picture's own values. The reason is given if
    one of them is missing.
    """
    for score in scores:
        values = rows[score.column].combine_chunks().flatten()
        table = _with(table, score.column, values)
    for error, of in by_error(scores).items():
        table = _with(table, error, pc.if_else(_lacking(table, of), table[error], None))
    return table


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def numbers(pictures: pa.Table, scores: Sequence[Score]) -> list[tuple[str, list[float]]]:
    """The existing scores by name, from a table with one row per picture."""
    return [
        (score.name, pictures[score.column].drop_null().to_pylist())
        for score in scores
        if not score.is_text
    ]


def missing(
    pictures: pa.Table, scores: Sequence[Score], errors: Mapping[str, str] = NO_ERRORS
) -> list[str]:
    """For each picture that lacks a value of a scorer or a stage, the reason; unless it is the
    only scorer, also which one.
    """
    found = by_error(scores)
    named = {error: of[0].scorer if len(found) > 1 else "" for error, of in found.items()}
    return [
        f"{name}: {reason}" if name else reason
        for error, name in {**errors, **named}.items()
        if error in pictures.column_names
        for reason in pictures[error].drop_null().to_pylist()
    ]


def errors_of_rows(
    pictures: pa.Table, scores: Sequence[Score], errors: Mapping[str, str], rows: int
) -> list[str | None]:
    """For each of `rows` the first error of a scorer or a stage with one of its pictures; else
    null.
    """
    found: list[str | None] = [None] * rows
    for error in {**by_error(scores), **errors}:
        for place, why in enumerate(pictures[error].to_pylist()):
            row = place * rows // pictures.num_rows
            found[row] = found[row] or why
    return found


def _lacking(pictures: pa.Table, scores: Sequence[Score]) -> pa.Array:
    """Which pictures lack one of `scores`: true or false."""
    return reduce(pc.or_, (pc.is_null(pictures[score.column]) for score in scores))
