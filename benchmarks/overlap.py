"""LLM and model at once, against each alone.

    python benchmarks/overlap.py [--rows 500] [--repeats 3]

Each stage has one process of one thread, so on two cores there is room for both. Alone, the LLM
stands before a model that draws nothing, and the model has no LLM. Everything else is the same.
"""

from __future__ import annotations

from functools import partial

from common import Benchmark, Limit, Repeat, arguments, run
from pictures import imagepipe

ONE_EACH = {
    "scorer": "none",
    "resources": "cpu",
    "resources.llm.num_cpus": 0.4,
    "resources.llm.batch_size": 4,
    "resources.model.num_cpus": 0.4,
    "resources.model.pool": 1,
}
NO_MODEL = {"model": "noop", "model.width": 128, "model.height": 128}


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=500)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 2)
    drawn = {"model.steps": steps}
    benchmark = Benchmark(
        name="overlap",
        question="Do LLM and model work at the same time?",
        variants={
            "llm alone": partial(imagepipe, rows=rows, overrides=ONE_EACH | NO_MODEL),
            "model alone": partial(
                imagepipe, rows=rows, overrides=ONE_EACH | drawn | {"llm": "none"}
            ),
            "both": partial(imagepipe, rows=rows, overrides=ONE_EACH | drawn),
        },
        limits=(Limit("both, times the longer one alone", ratio, at_most=1.10),),
        settings={"rows": rows, "steps": steps, "overrides": ONE_EACH},
    )
    run(benchmark, args)


def ratio(repeat: Repeat) -> float:
    longer = max(repeat[f"{stage} alone"]["seconds"] for stage in ("llm", "model"))
    return repeat["both"]["seconds"] / longer


if __name__ == "__main__":
    main()
