"""What imagepipe costs over its model: against the same model in a bare loop.

    python benchmarks/bare.py [--rows 2000] [--repeats 3]

The bare loop (`against/bare_loop.py`) draws the same rows at the same batch and steps and writes
PNG and Parquet: in one process with all threads, and in one process a core. It runs over a fifth of
the rows. Its steady rate is what both rates of imagepipe are held against, although its own rate
end to end is lower.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import against, imagepipe

from imagepipe.assets import folder as asset

WITHOUT = {"llm": "none", "scorer": "none"}  # what the bare loop does not do either
SHAPES = {
    "auto": {},
    "batch 16": {"resources.model.batch_size": 16},
    "resources=cpu": {"resources": "cpu"},
    # Ray is told of twice the cores, so that one process may hold all threads.
    "one process, 2 threads": {
        "resources": "cpu",
        "ray.num_cpus": 4,
        "resources.model.pool": 1,
        "resources.model.num_cpus": 2,
    },
}
LOOPS = {"bare, 1 process": 1, "bare, 2 processes": 2}


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=2000)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 6)
    fewer = max(16, rows // 5)
    loops = {name: partial(loop, fewer, steps, n) for name, n in LOOPS.items()}
    shapes = {
        name: partial(
            imagepipe,
            rows=rows if name == "auto" else fewer,
            overrides={**WITHOUT, "model.steps": steps, **shape},
        )
        for name, shape in SHAPES.items()
    }
    benchmark = Benchmark(
        name="bare",
        question="What does imagepipe cost over its model in a bare loop?",
        variants=loops | shapes,
        limits=(
            Limit("steady, auto to the best bare loop", partial(ratio, "steady_per_s"), 0.97),
            Limit(
                "end to end, auto to the best bare loop's steady rate",
                partial(ratio, "end_to_end_per_s"),
                0.90,
            ),
        ),
        settings={"rows": rows, "rows_of_others": fewer, "steps": steps, "batch": 8},
    )
    run(benchmark, args)


def loop(rows: int, steps: int, processes: int, folder: Path) -> Figures:
    options = ("--model", asset("asset:tiny"), "--steps", steps, "--processes", processes)
    return against("bare_loop.py", folder, rows, *options)


def ratio(figure: str, repeat: Repeat) -> float:
    return repeat["auto"][figure] / max(repeat[name]["steady_per_s"] for name in LOOPS)


if __name__ == "__main__":
    main()
