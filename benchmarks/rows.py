"""What a row costs where the model costs nothing, against plain Ray Data.

    python benchmarks/rows.py [--rows 10000,100000,1000000] [--repeats 3]

Both read two CSV files, join them by id, make a prompt, a seed and a flat picture of 8x8 pixels a
row, and write it as PNG bytes into Parquet (`model=noop sink=parquet` here,
`against/ray_data_rows.py` there). Like with like is the same PNG: plain Ray Data with the texts in
each that imagepipe writes, by the same encoder. imagepipe besides keeps its ledger and makes its
gallery. Memory is sampled: `driver_gib` is the most that the first process had resident,
`whole_gib` the most that all its processes had together, shared pages counted once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import pyarrow.parquet as pq
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import AGAINST, Rows, done, watched

GIB = 1 << 30
EVERY_S = 1.0
OVERRIDES = {
    "llm": "none",
    "scorer": "none",
    "sink": "parquet",
    "model": "noop",
    "model.width": 8,
    "model.height": 8,
    "resources.model.batch_size": 1024,
}


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", default="10000,100000,1000000")
    args = parser.parse_args()
    sizes = [100, 200] if args.tiny else [int(size) for size in args.rows.split(",")]
    variants = {f"{who}, {n:,} rows": partial(how, n) for n in sizes for who, how in WHO.items()}
    small, large = sizes[0], sizes[-1]
    benchmark = Benchmark(
        name="rows",
        question="What does a row cost where the model costs nothing?",
        variants=variants,
        limits=(
            Limit(
                f"rows per second at {large:,} rows, times plain Ray Data's",
                lambda r: _ratio(
                    r, "rows_per_s", f"imagepipe, {large:,} rows", f"plain Ray Data, {large:,} rows"
                ),
                at_least=0.9,
            ),
            Limit(
                f"rows per second at {large:,} rows, times plain Ray Data's with the same PNG",
                lambda r: _ratio(
                    r, "rows_per_s", f"imagepipe, {large:,} rows", f"the same PNG, {large:,} rows"
                ),
                at_least=1.0,
            ),
            Limit(
                f"the driver's memory at {large:,} rows, times that at {small:,}",
                lambda r: _ratio(
                    r, "driver_gib", f"imagepipe, {large:,} rows", f"imagepipe, {small:,} rows"
                ),
                at_most=1.2,
            ),
        ),
        settings={"rows": sizes, "overrides": OVERRIDES},
    )
    run(benchmark, args)


def _ratio(repeat: Repeat, figure: str, one: str, other: str) -> float:
    return repeat[one][figure] / repeat[other][figure]


def with_imagepipe(rows: int, folder: Path) -> Figures:
    given = Rows(rows).write(folder) | OVERRIDES
    typed = [f"{key}={value}" for key, value in given.items()]
    command = [sys.executable, "-m", "imagepipe", f"hydra.run.dir={folder}/out", *typed]
    figures = measured(command, folder, rows)
    assert json.loads((folder / "out" / "summary.json").read_text())["written"] == rows
    return figures


def plain(rows: int, folder: Path, *more: str) -> Figures:
    Rows(rows).write(folder)
    script = str(AGAINST / "ray_data_rows.py")
    figures = measured([sys.executable, script, str(folder), *more], folder, rows)
    parts = (folder / "table").glob("*.parquet")
    assert sum(pq.read_metadata(part).num_rows for part in parts) == rows
    return figures


WHO: dict[str, Callable[[int, Path], Figures]] = {
    "imagepipe": with_imagepipe,
    "plain Ray Data": plain,
    "the same PNG": lambda rows, folder: plain(rows, folder, "--texts"),
}


def measured(command: Sequence[str], folder: Path, rows: int) -> Figures:
    began = time.time()
    memory = {"driver_gib": 0.0, "whole_gib": 0.0}  # the most of the processes started here
    with watched(lambda: _sample(memory), EVERY_S):
        done(command, folder)
    seconds = time.time() - began
    return {"seconds": seconds, "rows_per_s": rows / seconds, **memory}


def _sample(memory: Figures) -> None:
    children = psutil.Process().children()
    whole = 0
    for driver in children:
        memory["driver_gib"] = max(memory["driver_gib"], _resident(driver) / GIB)
        whole += sum(_shared_out(process) for process in [driver, *driver.children(recursive=True)])
    memory["whole_gib"] = max(memory["whole_gib"], whole / GIB)


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # it has just ended
        return 0


def _shared_out(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()
