"""Rows as they come to a stage."""

from __future__ import annotations

import pyarrow as pa

from imagepipe.stages.stage import LEDGER


def table(*numbers: int, failed: tuple[int, ...] = ()) -> pa.Table:
    stages = ["read" if i in failed else None for i in range(len(numbers))]
    ledger = [pa.array(stages, pa.string()), pa.array(stages, pa.string())]
    return pa.table([pa.array(numbers), *ledger], names=["n", *LEDGER.names])
