"""Against the shape in which such pipelines begin: a notebook's, on the same small models.

    python benchmarks/seed.py [--rows 500] [--repeats 3]

`against/seed_shape.py` says what that shape is. Both enrich with the embedded LLM and draw with the
embedded model; imagepipe without its scorer, which the notebook does not have.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import against, imagepipe

from imagepipe.assets import folder as asset


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=500)
    args = parser.parse_args()
    rows, steps = (8, 1) if args.tiny else (args.rows, 6)
    overrides = {"scorer": "none", "model.steps": steps}
    benchmark = Benchmark(
        name="seed",
        question="How much faster than a notebook's shape?",
        variants={
            "the seed's shape": partial(seed, rows, steps),
            "imagepipe": partial(imagepipe, rows=rows, overrides=overrides),
        },
        limits=(Limit("end to end, times the seed's shape", ratio, at_least=2.0),),
        settings={"rows": rows, "steps": steps},
    )
    run(benchmark, args)


def seed(rows: int, steps: int, folder: Path) -> Figures:
    models = ("--model", asset("asset:tiny"), "--llm", asset("asset:tiny_llm"))
    figures = against("seed_shape.py", folder, rows, *models, "--steps", steps)
    del figures["first_picture_s"]  # it writes none before all are drawn
    figures.pop("steady_per_s", None)
    return figures


def ratio(repeat: Repeat) -> float:
    return repeat["imagepipe"]["end_to_end_per_s"] / repeat["the seed's shape"]["end_to_end_per_s"]


if __name__ == "__main__":
    main()
