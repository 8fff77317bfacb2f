"""How soon there is a picture, and what one job more of a sweep costs.

    python benchmarks/start.py [--repeats 5]

The first picture is counted from the command, for the bare loop (`against/bare_loop.py`) and for
imagepipe with the model alone, and as `make run` draws, with LLM and scorer. A further job of a
sweep is counted from the end of the job before to its own end; its own work is what the bare loop
takes for the same rows, loading the model included.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from bare import LOOPS, WITHOUT, loop
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import Rows, done, imagepipe

JOBS = 3


def main() -> None:
    args = arguments(__doc__, repeats=5).parse_args()
    rows, steps = (16, 1) if args.tiny else (100, 6)
    short = {"model.steps": steps}
    benchmark = Benchmark(
        name="start",
        question="How soon is there a picture, and what does one job more of a sweep cost?",
        variants={
            **{name: partial(loop, rows, steps, n) for name, n in LOOPS.items()},
            "imagepipe, the model alone": partial(imagepipe, rows=rows, overrides=WITHOUT | short),
            "imagepipe, as make run": partial(imagepipe, rows=rows, overrides=short),
            "a further job": partial(sweep, rows, steps),
        },
        limits=(
            Limit("first picture, times the best bare loop's", first, at_most=1.3),
            Limit("a further job, seconds beyond its own work", beyond, at_most=3.0),
        ),
        settings={"rows": rows, "steps": steps, "jobs": JOBS},
    )
    run(benchmark, args)


def sweep(rows: int, steps: int, folder: Path) -> Figures:
    """Seconds of a job that is not the first, from one job's end to the next one's."""
    given = {**Rows(rows).write(folder), **WITHOUT, "model.steps": steps}
    seeds = ",".join(map(str, range(JOBS)))
    typed = [f"{key}={value}" for key, value in given.items()]
    swept = ["-m", f"hydra.sweep.dir={folder}/sweep", f"seed={seeds}"]
    done([sys.executable, "-m", "imagepipe", *swept, *typed], folder)
    said = [folder / "sweep" / str(number) / "summary.json" for number in range(JOBS)]
    assert all(json.loads(file.read_text())["written"] == rows for file in said)
    ends = [file.stat().st_mtime for file in said]
    return {"seconds": (ends[-1] - ends[0]) / (JOBS - 1)}


def first(repeat: Repeat) -> float:
    best = min(repeat[name]["first_picture_s"] for name in LOOPS)
    return repeat["imagepipe, the model alone"]["first_picture_s"] / best


def beyond(repeat: Repeat) -> float:
    return repeat["a further job"]["seconds"] - min(repeat[name]["seconds"] for name in LOOPS)


if __name__ == "__main__":
    main()
