"""What scorers cost beside a model that draws.

    python benchmarks/scorers.py [--rows 500] [--repeats 3]

The embedded model draws without a scorer, with the embedded one, and with that under two names.
Each scorer has a process of its own; the model's processes and all else are the same. `model_ms` is
the time of the model's own processes for a picture: its path, on which a scorer should cost nothing
but what it takes of the cores.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import imagepipe

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
    parser.add_argument("--rows", type=int, default=500)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 4)
    same = SAME | {"model.steps": steps}
    benchmark = Benchmark(
        name="scorers",
        question="What does a second scorer cost?",
        variants={
            name: partial(drawn, rows=rows, overrides=same | chosen)
            for name, chosen in SCORERS.items()
        },
        limits=(
            Limit("a picture's time in the model, two scorers over one", model, at_most=1.10),
            Limit("steady state, two scorers over one", steady, at_least=0.90),
        ),
        settings={"rows": rows, "steps": steps, "overrides": SAME},
    )
    run(benchmark, args)


def drawn(folder: Path, rows: int, overrides: dict[str, Any]) -> Figures:
    figures = imagepipe(folder, rows, overrides)
    said = json.loads((folder / "out" / "summary.json").read_text())
    return figures | {"model_ms": 1000 * said["stages"]["model"]["busy_s"] / said["pictures"]}


def model(repeat: Repeat) -> float:
    return repeat["two scorers"]["model_ms"] / repeat["one scorer"]["model_ms"]


def steady(repeat: Repeat) -> float:
    rates = [repeat[name].get("steady_per_s", 0.0) for name in ("two scorers", "one scorer")]
    return rates[0] / rates[1] if rates[1] else 0.0


if __name__ == "__main__":
    main()
