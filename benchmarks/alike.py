"""Whether sweeps name a winner where there is none, and the right one where there is.

    python benchmarks/alike.py [--repeats 10]
    python benchmarks/alike.py --more --repeats 3 --variants "a tenth slower; 1 step and 6"

Each repeat is a sweep of its own for each of these:

- two jobs that differ in the name of their record alone, with the embedded models, 1 step, and as
  many pictures as a rate's interval wants. `winners` counts what is called fastest or best, of
  which nothing is, so at most one sweep in twenty should; `ratio` with its interval is the second
  job's rate over the first's, `load` what else the machine did when the sweep began;
- two jobs of a model that sleeps, one a tenth longer, with `sweep.repeats=3`;
- the embedded model with 1 step and with 6, by the score of 32 rows.

`told` is 1 where the better one is named.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import done

from imagepipe.config import Sweep
from imagepipe.reports import comparison

ALIKE, SLOWER, STEPS = "two alike jobs", "a tenth slower", "1 step and 6"
SECONDS = 0.1  # a picture, of the faster one
SLEEPS = {
    "llm": "none",
    "scorer": "none",
    "model": "noop",
    "model.engine": "custom",
    "model._target_": "sleeping.Sleeps",
    "resources.model.pool": 1,
    # A batch longer than the 0.1 s after which Ray Data looks for the next, and enough of them.
    "resources.model.batch_size": 4,
    "sink": "parquet",
    "sweep.repeats": 3,
}


def main() -> None:
    parser = arguments(__doc__, repeats=10)
    parser.add_argument("--times", type=int, default=7, help="that the table's 100 rows are drawn")
    args = parser.parse_args()
    times, twice, few = (1, 1, 4) if args.tiny else (args.times, 2, 32)
    benchmark = Benchmark(
        name="alike",
        question="Do sweeps name a winner where there is none, and the right one where there is?",
        variants={
            ALIKE: partial(alike, times=times),
            SLOWER: partial(slower, times=twice),
            STEPS: partial(steps, rows=few),
        },
        limits=(
            Limit("a job that is a tenth slower is told", partial(_of, SLOWER), at_least=1),
            Limit(f"6 steps are told from 1 by {few} rows", partial(_of, STEPS), at_least=1),
        ),
        settings={"times": times, "times_slower": twice, "rows_by_score": few},
    )
    every = run(benchmark, args)["repeats"]
    named = [repeat[ALIKE]["winners"] > 0 for repeat in every if ALIKE in repeat]
    if named:
        print(f"  {sum(named)} of {len(named)} sweeps of two alike jobs name a winner")


def alike(folder: Path, times: int) -> Figures:
    load = os.getloadavg()[0]
    given = {"tracking.run_name": "a,b", "dataset.repeat": times, "model.steps": 1}
    found = swept(folder, given)
    figures = {"winners": float(sum(one.named is not None for one in found.verdicts))}
    by_rate, _ = next(one for one in found.measures if one[0].name == "images_per_s")
    if len(by_rate.entries) == 2:
        apart = by_rate.differ(*by_rate.entries[::-1]).interval
        limits = {"ratio": apart.value, "ratio_low": apart.low, "ratio_high": apart.high}
        figures |= {name: math.exp(value) for name, value in limits.items()}
    others = [(job.summary["machine"].get("others") or {}).get("cpus") for job in found.finished]
    busy = {"cpus_of_others": max(one for one in others if one is not None)} if any(others) else {}
    return {**figures, **busy, "load": load}


def slower(folder: Path, times: int) -> Figures:
    shutil.copy(Path(__file__).with_name("sleeping.py"), folder)
    longer = f"{SECONDS},{1.1 * SECONDS:g}"
    found = swept(folder, {**SLEEPS, "+model.options.seconds": longer, "dataset.repeat": times})
    return {"told": _named(found, f"seconds={SECONDS:g}")}


def steps(folder: Path, rows: int) -> Figures:
    aim = Sweep("score")
    given = {"llm": "none", "model.steps": "1,6", "sweep.objective": "score", "limit": rows}
    return {"told": _named(swept(folder, given, aim), "model.steps=6")}


def swept(
    folder: Path, overrides: Mapping[str, Any], aim: Sweep | None = None
) -> comparison.Comparison:
    typed = [f"{key}={value}" for key, value in overrides.items()]
    command = [sys.executable, "-m", "imagepipe", "-m", *typed]
    done([*command, "tracking=none", "hydra.sweep.dir=sweep"], folder)
    return comparison.collect(folder / "sweep", aim or Sweep())


def _named(found: comparison.Comparison, label: str) -> float:
    best = found.verdict.named
    return float(best is not None and best.label.endswith(label))


def _of(variant: str, repeat: Repeat) -> float:
    return repeat[variant]["told"]


if __name__ == "__main__":
    main()
