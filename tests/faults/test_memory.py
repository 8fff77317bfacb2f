"""The memory of the driver and of the object store does not grow with the number of rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.command import Command, summary
from helpers.memory import Peak

from imagepipe.resources.shares import (
    BLOCK_BYTES,
    BLOCKS_OF_A_PROCESS,
    BLOCKS_OF_A_WRITER,
    WRITERS_A_CPU,
)

SIZES = ((1_000, 512), (10_000, 512), (100_000, 16))  # rows, pixels of a picture's side
FLAT = 1.10
RUN = [
    *("dataset=parquet", "dataset.path=t.parquet", "dataset.prompt='{what}'"),
    *("model=noop", "llm=none", "scorer=none", "tracking.system_metrics=false"),
]


def peak(
    command: Callable[..., Command], folder: Path, rows: int, side: int, *more: str
) -> tuple[float, float]:
    """MB that the driver and the object store take at most in a run of `rows`; it leaves none."""
    table = {"id": [f"r{n}" for n in range(rows)], "what": [f"a cat {n}" for n in range(rows)]}
    pq.write_table(pa.table(table), folder / "t.parquet")
    out = folder / "out"
    size = [f"model.width={side}", f"model.height={side}"]
    running = command(*RUN, *size, f"hydra.run.dir={out}", *more)
    watched = Peak(running)
    code, said = running.wait(1800)
    watched.end()
    assert code == 0, said
    assert summary(out)["written"] == rows
    shutil.rmtree(out)
    return watched.driver / 1e6, watched.store / 1e6


@pytest.mark.faults
def test_the_store_holds_less_than_is_drawn_and_the_driver_none_of_it(command, tmp_path):
    """What a process may have on its way is less than the 500 MB of these pictures."""
    least, _ = peak(command, tmp_path, 16, 512)
    driver, store = peak(command, tmp_path, 640, 512, "resources.model.pool=2", "ray.num_cpus=2")
    blocks = 2 * (BLOCKS_OF_A_PROCESS + WRITERS_A_CPU * BLOCKS_OF_A_WRITER)
    on_their_way = blocks * BLOCK_BYTES
    assert store <= on_their_way / 1e6 < 640 * 512 * 512 * 3 / 1e6
    assert driver <= FLAT * least


@pytest.mark.faults
def test_memory_is_flat_in_the_number_of_rows(command, tmp_path, record):
    drivers, stores = [], []
    for rows, side in SIZES:
        driver, store = peak(command, tmp_path, rows, side)
        drivers.append(driver)
        stores.append(store)
        figures = {"pixels": side, "driver_mb": driver, "store_mb": store}
        record("none, to measure", victim="memory", rows=rows, held=True, **figures)
    assert max(drivers) <= FLAT * min(drivers), drivers
    assert max(stores) <= FLAT * stores[0], stores
