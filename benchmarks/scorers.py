"""What scorers cost beside a model that draws, and what is concluded of their scores.

    python benchmarks/scorers.py [--rows 300] [--repeats 3]

The embedded model draws without a scorer, with the embedded one, and with that under two names.
Each scorer has a process of its own; the model's processes and all else are the same. `model_ms` is
the time of the model's own processes for a picture: its path, on which a scorer should cost nothing
but what it takes of the cores. `concluded_ms` is what it takes at the end, for a picture, to hold
the run's scores and rate against those of another that is just like it.
"""

from __future__ import annotations

import json
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import imagepipe

from imagepipe.config import Sweep
from imagepipe.reports.comparison.runs import compared

SAME = {
    "llm": "none",
    "resources": "cpu",
    "resources.model.num_cpus": 0.35,
    "resources.scorer.num_cpus": 0.1,
}
SECOND = "{name: second, engine: clip, path: 'asset:tiny_clip'}"
SCORERS: dict[str, dict[str, Any]] = {
    "no scorer": {"scorer": "none"},
    "one scorer": {"scorer": "tiny_clip"},
    "two scorers": {"scorer": "tiny_clip", "+scorer.second": SECOND},
}


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=300)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 4)
    same = SAME | {"model.steps": steps}
    benchmark = Benchmark(
        name="scorers",
        question="What do a second scorer and the statistics cost?",
        variants={
            name: partial(drawn, rows=rows, overrides=same | chosen)
            for name, chosen in SCORERS.items()
        },
        limits=(
            Limit("a picture's time in the model, two scorers over one", model, at_most=1.10),
            Limit("steady state, two scorers over one", steady, at_least=0.90),
            Limit(
                "what is concluded of a picture, over its time in the model",
                concluded,
                at_most=0.05,
            ),
        ),
        settings={"rows": rows, "steps": steps, "overrides": SAME},
    )
    run(benchmark, args)


def drawn(folder: Path, rows: int, overrides: dict[str, Any]) -> Figures:
    figures = imagepipe(folder, rows, overrides)
    said = json.loads((folder / "out" / "summary.json").read_text())
    took = {"model_ms": said["stages"]["model"]["busy_s"], "concluded_ms": conclude(folder / "out")}
    return figures | {name: 1000 * seconds / said["pictures"] for name, seconds in took.items()}


def conclude(run: Path) -> float:
    """Seconds, the libraries being loaded."""
    runs = [run, Path(shutil.copytree(run, run.with_name("other")))]
    for _ in range(2):
        began = time.perf_counter()
        assert compared(runs, Sweep(objective="score")).verdicts
    return time.perf_counter() - began


def model(repeat: Repeat) -> float:
    return repeat["two scorers"]["model_ms"] / repeat["one scorer"]["model_ms"]


def steady(repeat: Repeat) -> float:
    rates = [repeat[name].get("steady_per_s", 0.0) for name in ("two scorers", "one scorer")]
    return rates[0] / rates[1] if rates[1] else 0.0


def concluded(repeat: Repeat) -> float:
    return repeat["two scorers"]["concluded_ms"] / repeat["two scorers"]["model_ms"]


if __name__ == "__main__":
    main()
