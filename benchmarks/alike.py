"""Whether sweeps of two alike jobs name a winner.

    python benchmarks/alike.py [--repeats 10]

Each repeat is a sweep of its own: two jobs that differ in the name of their record alone, with the
embedded models. `winners` counts what is called fastest or best, of which nothing is, so at most
one sweep in twenty should; `ratio` with its interval is the second job's rate over the first's,
`load` what else the machine did when the sweep began.
"""

from __future__ import annotations

import math
import os
import sys
from functools import partial
from pathlib import Path

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import done

from imagepipe.config import Sweep
from imagepipe.reports import comparison

NAME = "two alike jobs"


def main() -> None:
    parser = arguments(__doc__, repeats=10)
    parser.add_argument("--rows", type=int, default=64)
    args = parser.parse_args()
    rows = 16 if args.tiny else args.rows
    benchmark = Benchmark(
        name="alike",
        question="Do sweeps of two alike jobs name a winner?",
        variants={NAME: partial(swept, rows=rows)},
        limits=(Limit("winners that a sweep names", winners, at_most=0),),
        settings={"rows": rows, "models": "embedded"},
    )
    named = [repeat[NAME]["winners"] > 0 for repeat in run(benchmark, args)["repeats"]]
    if named:
        print(f"  {sum(named)} of {len(named)} sweeps name a winner")


def swept(folder: Path, rows: int) -> Figures:
    load = os.getloadavg()[0]
    chosen = ["tracking=none", "tracking.run_name=a,b", f"limit={rows}", "hydra.sweep.dir=sweep"]
    done([sys.executable, "-m", "imagepipe", "-m", *chosen], folder)
    found = comparison.collect(folder / "sweep", Sweep())
    figures = {"winners": float(sum(one.named is not None for one in found.verdicts))}
    by_rate, _ = next(one for one in found.measures if one[0].name == "images_per_s")
    if len(by_rate.entries) == 2:
        apart = by_rate.differ(*by_rate.entries[::-1]).interval
        limits = {"ratio": apart.value, "ratio_low": apart.low, "ratio_high": apart.high}
        figures |= {name: math.exp(value) for name, value in limits.items()}
    others = [(job.summary["machine"].get("others") or {}).get("cpus") for job in found.finished]
    busy = {"cpus_of_others": max(one for one in others if one is not None)} if any(others) else {}
    return {**figures, **busy, "load": load}


def winners(repeat: Repeat) -> float:
    return repeat[NAME]["winners"]


if __name__ == "__main__":
    main()
