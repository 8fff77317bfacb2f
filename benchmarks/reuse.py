"""What a sweep costs that takes over what its jobs have in common.

    python benchmarks/reuse.py [--rows 200] [--repeats 3]

Four jobs that differ in the model's steps, with the embedded LLM and scorer, as one command: with
`sweep.reuse=auto`, and without. Beside them the same four jobs over a table that has the LLM's
prompts already, without an LLM. The distinct work is the first job without reuse and the other
three of those: the LLM asked once, and each picture drawn and scored. Jobs are timed by their
summaries.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import Rows, done

STEPS = (1, 2, 4, 6)
COMMON = {
    "scorer": "tiny_clip",
    "sweep.objective": "score",
    "tracking": "none",
    "hydra.sweep.dir": "sweep",
}


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=200)
    args = parser.parse_args()
    rows = 16 if args.tiny else args.rows
    benchmark = Benchmark(
        name="reuse",
        question="What does a sweep cost that takes over what its jobs have in common?",
        variants={
            "with reuse": partial(asking, rows=rows, reuse="auto"),
            "without": partial(asking, rows=rows, reuse="false"),
            "prompts given": partial(given, rows=rows),
        },
        limits=(
            Limit("with reuse, times its distinct work", ratio, at_most=1.10),
            Limit("questions to the LLM, times the rows", asked, at_most=1.0),
            Limit("pictures that differ from those without reuse", different, at_most=0.0),
        ),
        settings={"rows": rows, "steps": list(STEPS), "overrides": COMMON},
    )
    run(benchmark, args)


def asking(folder: Path, rows: int, reuse: str) -> Figures:
    """The sweep with its LLM. `digest` stands for the pixels of all jobs."""
    return swept(folder, rows, tables(folder, rows) | {"llm": "tiny", "sweep.reuse": reuse})


def given(folder: Path, rows: int) -> Figures:
    """The sweep over the prompts that the LLM wrote."""
    table = folder / "prompts.csv"
    overrides = tables(folder, rows) | {"llm": "tiny", "model": "noop", "scorer": "none"}
    command(folder, overrides | {"tracking": "none", "hydra.run.dir": "written"})
    written = pq.read_table(folder / "written" / "table", columns=["id", "prompt"])
    with table.open("w", newline="") as target:
        lines = zip(*(written[name].to_pylist() for name in ("id", "prompt")), strict=True)
        csv.writer(target).writerows([("id", "text"), *lines])
    of_table = {"dataset": "csv", "dataset.path": str(table), "dataset.id": "id"}
    return swept(folder, rows, of_table | {"dataset.prompt": '"{text}"', "llm": "none"})


def tables(folder: Path, rows: int) -> dict[str, str]:
    """As seen from the folder: what a picture says of itself has their place in it."""
    return {key: Path(path).name for key, path in Rows(rows).write(folder).items()}


def swept(folder: Path, rows: int, overrides: Mapping[str, Any]) -> Figures:
    command(folder, COMMON | dict(overrides), "-m", f"model.steps={','.join(map(str, STEPS))}")
    jobs = [folder / "sweep" / str(number) for number in range(len(STEPS))]
    said = [json.loads((job / "summary.json").read_text()) for job in jobs]
    if any(one["written"] != rows for one in said):
        raise SystemExit(f"{folder} has {[one['written'] for one in said]} of {rows} rows")
    times = {f"job_{number}_s": one["seconds"] for number, one in enumerate(said)}
    reused = sum(one["reused"].get("llm", 0) for one in said)
    figures = {"seconds": sum(times.values()), **times, "llm_rows": rows * len(jobs) - reused}
    return figures | {"digest": float(digest(jobs))}


def command(folder: Path, overrides: Mapping[str, Any], *first: str) -> None:
    typed = [f"{key}={value}" for key, value in overrides.items()]
    done([sys.executable, "-m", "imagepipe", *first, *typed], folder)


def digest(jobs: list[Path]) -> int:
    """The same for the same files of pictures; 48 bits, which a float holds."""
    from hashlib import blake2b

    whole = blake2b(digest_size=6)
    for job in jobs:
        for file in sorted((job / "images").iterdir()):
            whole.update(file.read_bytes())
    return int.from_bytes(whole.digest(), "big")


def ratio(repeat: Repeat) -> float:
    rest = sum(repeat["prompts given"][f"job_{number}_s"] for number in range(1, len(STEPS)))
    return repeat["with reuse"]["seconds"] / (repeat["without"]["job_0_s"] + rest)


def asked(repeat: Repeat) -> float:
    return len(STEPS) * repeat["with reuse"]["llm_rows"] / repeat["without"]["llm_rows"]


def different(repeat: Repeat) -> float:
    return float(repeat["with reuse"]["digest"] != repeat["without"]["digest"])


if __name__ == "__main__":
    main()
