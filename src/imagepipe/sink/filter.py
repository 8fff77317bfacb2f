"""Which pictures are kept: an expression over columns, and the best few of a row's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.errors import did_you_mean, listed, one_line, shown
from imagepipe.sink.expressions import Rule, parsed, refused
from imagepipe.sink.webdataset import value_of

STAGE = "filter"  # what rejected rows say
MOST_SAID = 80  # characters of a cell in a reason


@dataclass(frozen=True)
class Filter:
    """`keep` holds for a picture that is kept; of those of one row the `best` by the column `by`.

    A null is in no list; what else is compared with it is not true, so it is not kept. `renamed`
    maps the names that people know to those in the table, where the two differ.
    """

    keep: str | None = None
    best: int | None = None
    by: str | None = None
    near_duplicates: int | None = None  # of all pictures: `sink.duplicates`
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether it decides about each row alone."""
        return self.keep is not None or self.best is not None

    def kept(self, table: pa.Table, each: int) -> tuple[np.ndarray, list[str | None]]:
        """bool (pictures,) of `table`, with `each` pictures per row; and for each row null, or
        why none of its pictures is kept.
        """
        kept = np.ones(table.num_rows, bool)
        rule = None if self.keep is None else parsed(self.keep)
        if rule:
            kept &= holds(rule, table, self.renamed)
        if self.best is not None:
            kept &= _best(
                table[self.renamed.get(str(self.by), str(self.by))], kept, each, self.best
            )
        rows = np.asarray(kept.reshape(-1, each).any(axis=1))
        return kept, [
            None if has else self._why(rule, table, k * each) for k, has in enumerate(rows.tolist())
        ]

    def _why(self, rule: Rule | None, table: pa.Table, place: int) -> str:
        """For its first picture. `best` alone always keeps one."""
        assert rule is not None
        cells = {name: table[self.renamed.get(name, name)][place] for name in rule.columns}
        said = ", ".join(
            f"{name} is {shown(value_of(cell), MOST_SAID)}" for name, cell in cells.items()
        )
        return f"{shown(self.keep)} does not hold: {said}"

    def check(self, schema: pa.Schema, *, each: int) -> None:
        """Raise UserError if it cannot be applied to a table of `schema`, with `each` pictures
        per row.
        """
        if self.keep is not None:
            rule = parsed(self.keep)
            for name in rule.columns:
                _check_column("keep", self.keep, name, self.renamed, schema)
            try:
                holds(rule, schema.empty_table(), self.renamed)
            except (pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
                raise refused(
                    "keep",
                    self.keep,
                    f"cannot be decided ({one_line(error)})",
                    "Cells of a CSV are text: float(column) takes one as a number.",
                ) from error
        if self.best is not None:
            self._check_best(schema, each)

    def _check_best(self, schema: pa.Schema, each: int) -> None:
        if self.best is not None and self.best >= each:
            told = f"would keep all of a row's {each}"
            remedy = "Draw more a row (model.images_per_prompt), or leave it out."
            raise refused("best", self.best, told, remedy)
        if self.by is None:
            remedy = "Choose a scorer, or name a column: filter.by=..."
            raise refused("best", self.best, "needs a score", remedy)
        _check_column("by", self.by, self.by, self.renamed, schema)
        kind = schema.field(self.renamed.get(self.by, self.by)).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise refused("by", self.by, f"holds {kind}, no numbers", "Name another column.")


def holds(rule: Rule, table: pa.Table, renamed: Mapping[str, str]) -> np.ndarray:
    """bool (rows,): the rows of `table` for which it is true."""
    import pyarrow.dataset as ds

    columns = {name: table[renamed.get(name, name)] for name in rule.columns}
    columns |= {f"float({name})": _numbers(columns[name]) for name in rule.numbers}
    if not columns:  # a rule without a column, which is the same for all
        columns = {"none": pa.nulls(table.num_rows)}
    found = ds.dataset(pa.table(columns)).to_table(columns={"keep": rule.expression.to_pyarrow()})
    truth = found["keep"]
    if not pa.types.is_boolean(truth.type):
        raise TypeError(f"it is {truth.type}, not true or false")
    return pc.fill_null(truth, False).to_numpy()


def _best(scores: pa.ChunkedArray, kept: np.ndarray, each: int, most: int) -> np.ndarray:
    """bool (pictures,): the best `most` of each row's kept ones; of equal ones the first."""
    values = pc.fill_null(scores.cast(pa.float64(), safe=False), float("-inf")).to_numpy()
    values = np.where(np.isnan(values), -np.inf, values).reshape(-1, each)
    order = np.lexsort((np.arange(each) * np.ones_like(values), -values, ~kept.reshape(-1, each)))
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(each) * np.ones_like(order), axis=1)
    return (places < most).reshape(-1)


def _numbers(column: pa.ChunkedArray) -> pa.Array:
    """float64; null if a cell says no number."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    if not pa.types.is_string(kind):
        raise TypeError(f"{kind} holds no numbers")
    return pa.array([_number_or_none(cell) for cell in column.to_pylist()], pa.float64())


def _number_or_none(cell: str | None) -> float | None:
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None


def _check_column(
    key: str, value: object, name: str, renamed: Mapping[str, str], schema: pa.Schema
) -> None:
    known = [*renamed, *(one for one in schema.names if one not in renamed.values())]
    if name not in known:
        guess = did_you_mean(name, known)
        told = f"names {name!r}, which is not a column"
        raise refused(key, value, told, f"{guess}Columns: {listed(known, name)}.")
