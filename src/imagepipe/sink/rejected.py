"""Rows without a picture: the columns that hold their stage and reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.sink.filter import STAGE
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE

WHY = ("stage", "reason")  # the columns of rejected rows
WHY_ELSE = [(FAILED_STAGE, FAILED_REASON), ("imagepipe_stage", "imagepipe_reason")]


def why_columns(columns: Collection[str]) -> tuple[str, str]:
    """The columns for stage and reason of rejected rows, beside the `columns` of their tables."""
    taken = {name.lower() for name in columns}
    return next((names for names in (WHY, *WHY_ELSE) if taken.isdisjoint(names)), WHY_ELSE[-1])


def filtered_rows(
    rows: pa.Table, reasons: Sequence[str | None], errors: Sequence[str | None]
) -> tuple[pa.Table, pa.Table]:
    """Those of `rows` that have a reason, with it; and those of them that a scorer failed, with
    its error: they are no choice of the filter's, and can be tried again.
    """
    failed = [why and error for why, error in zip(reasons, errors, strict=True)]
    chosen = [None if error else why for why, error in zip(reasons, failed, strict=True)]
    return _marked(rows, STAGE, chosen), _marked(rows, "scorer", failed)


def _marked(rows: pa.Table, stage: str, reasons: Sequence[str | None]) -> pa.Table:
    stages = pa.array([reason and stage for reason in reasons], pa.string())
    for name, values in ((FAILED_STAGE, stages), (FAILED_REASON, pa.array(reasons, pa.string()))):
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    return rows.filter(pc.is_valid(stages))


def ledger_of(rows: pa.Table) -> tuple[list[Any], list[Any]]:
    """Stage and reason of each row."""
    return rows[FAILED_STAGE].to_pylist(), rows[FAILED_REASON].to_pylist()
