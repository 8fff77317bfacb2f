"""What reading and joining have in common: blocks of a table, tasks over them, failed rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from imagepipe.sources.format import Reasons
from imagepipe.sources.formats import FORMATS
from imagepipe.sources.tables import File, Table
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE

if TYPE_CHECKING:
    from ray.data import Dataset


def raw_blocks(table: Table, files: Sequence[File], num_cpus: float, **options: int) -> Dataset:
    """Raw blocks of `files`, by Ray's own reader."""
    paths = [file.path for file in files]
    return FORMATS[table.format].dataset(
        table.filesystem, paths, table.schema, num_cpus=num_cpus, **options
    )


def tasks(num_cpus: float) -> dict[str, Any]:
    """How all functions over blocks are run."""
    return {"batch_format": "pyarrow", "batch_size": None, "num_cpus": num_cpus}


def partitions() -> int:
    """How many parts a shuffle has: facts on Ray Data's join ask for 2 to 4 times the CPUs."""
    import ray

    return max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))


def with_ledger(rows: pa.Table, stages: Reasons, reasons: Reasons) -> pa.Table:
    """`rows` with these ledger columns at the end, in place of those that it may have."""
    rows = rows.drop_columns([n for n in (FAILED_STAGE, FAILED_REASON) if n in rows.column_names])
    rows = rows.append_column(FAILED_STAGE, pa.array(stages, pa.string()))
    return rows.append_column(FAILED_REASON, pa.array(reasons, pa.string()))
