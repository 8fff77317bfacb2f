"""The memory of the driver and of the object store does not grow with the number of rows."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import summary
from memory import Peak

# Rows, pixels of a picture's side, and rows a block: the same where stores are compared, and small,
# or one block more at the worst moment would be a tenth of what the store holds.
SIZES = ((1_000, 512, 8), (10_000, 512, 8), (100_000, 16, 1000))
FLAT = 1.10
RUN = [
    *("dataset=parquet", "dataset.path=t.parquet", "dataset.prompt='{what}'"),
    *("model=noop", "llm=none", "scorer=none", "tracking.system_metrics=false"),
]


@pytest.mark.faults
def test_memory_is_flat_in_the_number_of_rows(command, tmp_path, record):
    drivers, stores = [], []
    for rows, side, block in SIZES:
        table = {"id": [f"r{n}" for n in range(rows)], "what": [f"a cat {n}" for n in range(rows)]}
        pq.write_table(pa.table(table), tmp_path / "t.parquet")
        out = tmp_path / "out"
        size = [f"model.width={side}", f"model.height={side}", f"resources.rows_per_block={block}"]
        running = command(*RUN, *size, f"hydra.run.dir={out}")
        peak = Peak(running)
        code, said = running.wait(1800)
        peak.end()
        assert code == 0, said
        assert summary(out)["written"] == rows
        shutil.rmtree(out)
        drivers.append(peak.driver / 1e6)
        stores.append(peak.store / 1e6)
        figures = {"pixels": side, "driver_mb": drivers[-1], "store_mb": stores[-1]}
        record("none, to measure", victim="memory", rows=rows, held=True, **figures)
    assert max(drivers) <= FLAT * min(drivers), drivers
    assert max(stores) <= FLAT * stores[0], stores
