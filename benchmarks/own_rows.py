"""What rows cost that have settings, or pictures, of their own, where the model costs nothing.

    python benchmarks/own_rows.py [--rows 10000] [--pictures 200,2000]
    python benchmarks/own_rows.py --variants "alike; own settings"
    python benchmarks/own_rows.py --variants "200 pictures in; 2,000 pictures in"

Rows of their own have a seed, one of three numbers of steps, one of two guidances and a negative
prompt; those that are alike have the columns too, which are then not used. The pictures that go in
are PNGs of 1024x1024 pixels, and come out as large. Memory is sampled: `driver_gib` as in `rows`,
`store_share` is the most that the object store held of what it may (STORE_GB), and `spilled_gib`
what it put on the disk; both begin at one byte, as a figure is above 0.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import watched
from PIL import Image
from rows import GIB, measured

SIDE = 1024  # pixels of what goes in
FILES = 20  # different ones
STORE_GB = 2.0
SHARED = "/dev/shm"  # where the object store is
ROWS = {"llm": "none", "scorer": "none", "model": "noop", "tracking": "none", "dataset": "csv"}
ALIKE = {"model.width": 8, "model.height": 8, "sink": "parquet", "resources.model.batch_size": 64}
COLUMNS = {"seed": "s", "steps": "n", "guidance": "g", "negative_prompt": "no"}
LARGE = {"model.width": SIDE, "model.height": SIDE, "ray.object_store_gb": STORE_GB}


def main() -> None:
    parser = arguments(__doc__, repeats=1)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--pictures", default="200,2000")
    args = parser.parse_args()
    rows = 16 if args.tiny else args.rows
    few, many = (4, 8) if args.tiny else map(int, args.pictures.split(","))
    small, large = f"{few:,} pictures in", f"{many:,} pictures in"
    variants: dict[str, Callable[[Path], Figures]] = {
        "alike": partial(settings, rows, {}),
        "own settings": partial(settings, rows, COLUMNS),
        small: partial(pictures, few),
        large: partial(pictures, many),
    }
    benchmark = Benchmark(
        name="own_rows",
        question="What do rows cost that have settings, or pictures, of their own?",
        variants=variants,
        limits=(
            Limit(
                f"{rows:,} rows with settings of their own, times as long as alike",
                lambda r: _ratio(r, "seconds", "own settings", "alike"),
                at_most=1.05,
            ),
            Limit(
                f"the driver's memory with {large}, times that with {few:,}",
                lambda r: _ratio(r, "driver_gib", large, small),
                at_most=1.2,
            ),
            Limit(f"of the object store, {large}", lambda r: r[large]["store_share"], at_most=1),
            Limit(f"GiB spilled, {large}", lambda r: r[large]["spilled_gib"], at_most=0.01),
        ),
        settings={"rows": rows, "pictures": [few, many], "columns": COLUMNS, "store_gb": STORE_GB},
    )
    run(benchmark, args)


def _ratio(repeat: Repeat, figure: str, one: str, other: str) -> float:
    return repeat[one][figure] / repeat[other][figure]


def settings(rows: int, columns: Mapping[str, str], folder: Path) -> Figures:
    with open(folder / "t.csv", "w", newline="") as file:
        lines = ((i, "a cat", i, 2 + i % 3, i % 2 / 2, f"fog {i % 7}") for i in range(rows))
        csv.writer(file).writerows([("id", "what", *COLUMNS.values()), *lines])
    own = {f"+model.columns.{key}": name for key, name in columns.items()}
    return imagepipe(folder, rows, {**ALIKE, **own})


def pictures(rows: int, folder: Path) -> Figures:
    values = np.random.default_rng(0).integers(0, 256, (FILES, 64, 64, 3), np.uint8)
    for number, pixels in enumerate(values):  # blocks of colour, as a picture has
        Image.fromarray(pixels).resize((SIDE, SIDE)).save(folder / f"{number}.png")
    with open(folder / "t.csv", "w", newline="") as file:
        lines = ((i, "a cat", f"{i % FILES}.png") for i in range(rows))
        csv.writer(file).writerows([("id", "what", "photo"), *lines])
    most = {"store_share": 1 / GIB, "spilled_gib": 1 / GIB}
    before = psutil.disk_usage(SHARED).used
    os.environ["RAY_TMPDIR"] = str(folder)
    with watched(lambda: _sample(most, folder, before)):
        figures = imagepipe(folder, rows, {**LARGE, "+model.columns.image": "photo"})
    return figures | most


def _sample(most: Figures, folder: Path, before: int) -> None:
    held = (psutil.disk_usage(SHARED).used - before) / (STORE_GB * 1e9)
    most["store_share"] = max(most["store_share"], held)
    sizes = (_size(file) for file in folder.glob("ray/session_*/ray_spilled_objects*/*"))
    most["spilled_gib"] = max(most["spilled_gib"], sum(sizes) / GIB)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it was read back
        return 0


def imagepipe(folder: Path, rows: int, overrides: Mapping[str, Any]) -> Figures:
    given = {**ROWS, "dataset.path": folder / "t.csv", "dataset.prompt": '"{what}"', **overrides}
    typed = [f"{key}={value}" for key, value in given.items()]
    command = [sys.executable, "-m", "imagepipe", f"hydra.run.dir={folder}/out", *typed]
    figures = measured(command, folder, rows)
    assert json.loads((folder / "out" / "summary.json").read_text())["written"] == rows
    return figures


if __name__ == "__main__":
    main()
