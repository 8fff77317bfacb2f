"""`resources=tuned` against every point of a grid of shares, one after another.

    python benchmarks/tuned.py [--rows 400] [--pools 1,2] [--batches 4,8,16] [--repeats 3]

Each repeat runs the whole grid and tuned, every second one in the opposite order. tuned measures
its stages anew in every repeat; the rate is of the run that follows, in steady state. A point that
was done is kept in the JSON at once: the same command goes on where an earlier one ended, and
`--seconds` ends it after the run in which so many are over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, machine, spread, text, versions
from pictures import ENVIRONMENT, Rows

TUNED = "tuned"
AT_LEAST = 0.95  # of the best point
# The rest of the machine is the same for all: no scorer, prompts as they are, one CPU for tasks.
COMMON = ["llm=none", "scorer=none", "tracking=none"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--pools", default="1,2")
    parser.add_argument("--batches", default="4,8,16")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=RESULTS / "tuned.json")
    args = parser.parse_args()
    began = time.monotonic()
    runs = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    for repeat, name, overrides in planned(args):
        if any(run["repeat"] == repeat and run["name"] == name for run in runs):
            continue
        if time.monotonic() - began > args.seconds:
            break
        runs.append({"repeat": repeat, "name": name, **measured(overrides, args.rows)})
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result(runs, args), indent=2) + "\n")
        print(f"{repeat} {name}: {runs[-1]['steady_per_s']:.2f} pictures/s", flush=True)
    print(text(result(runs, args)))


def planned(args: argparse.Namespace) -> list[tuple[int, str, list[str]]]:
    """All runs in order: (repeat, name, overrides)."""
    points = {TUNED: ["resources=tuned"]}
    for pool in args.pools.split(","):
        for batch in args.batches.split(","):
            share = [f"resources.model.pool={pool}", f"resources.model.batch_size={batch}"]
            cpus = f"resources.model.num_cpus={int(100 / int(pool)) / 100}"
            grid = ["resources=cpu", *share, cpus]
            points[f"pool {pool}, batches of {batch}"] = grid
    names = list(points)
    return [
        (repeat, name, points[name])
        for repeat in range(args.repeats)
        for name in (names if repeat % 2 == 0 else names[::-1])
    ]


def measured(overrides: list[str], rows: int) -> dict[str, Any]:
    """One run in a folder of its own; its steady pictures per second and its shares."""
    with tempfile.TemporaryDirectory(prefix="bench-tuned-") as folder:
        table = [f"{key}={value}" for key, value in Rows(rows).write(Path(folder)).items()]
        command = [sys.executable, "-m", "imagepipe", *COMMON, *table, *overrides]
        done = subprocess.run(
            [*command, "hydra.run.dir=run"],
            cwd=folder,
            capture_output=True,
            text=True,
            env=os.environ | ENVIRONMENT,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
        summary = json.loads(Path(folder, "run", "summary.json").read_text())
    rate, share = summary["images_per_s"]["steady"], summary["resources"]["model"]
    if rate is None:
        raise SystemExit(f"{rows} rows are too few for a steady rate: take more")
    return {
        "steady_per_s": rate,
        "pool": share["pool"],
        "batch_size": share["batch_size"],
        "seconds": summary["seconds"],
        "why": summary["resources_why"],
    }


def result(runs: list[dict[str, Any]], args: argparse.Namespace) -> dict[str, Any]:
    """The runs so far in the shape of the other benchmarks' results."""
    rates: dict[str, dict[int, float]] = {}
    for run in runs:
        rates.setdefault(run["name"], {})[run["repeat"]] = run["steady_per_s"]
    points = {name: spread(list(rates[name].values())) for name in sorted(rates)}
    whole = len(runs) == len(planned(args))  # else it would be a share of half a grid
    return {
        "benchmark": "tuned",
        "question": "How near does resources=tuned come to the best point of a grid?",
        "command": f"python benchmarks/tuned.py --rows {args.rows} --pools {args.pools} "
        f"--batches {args.batches} --repeats {args.repeats}",
        "machine": machine(),
        "versions": versions(),
        "variants": {name: {"steady_per_s": point} for name, point in points.items()},
        "limits": [_limit(rates, points)] if whole else [],
        "runs": runs,
    }


def _limit(rates: dict[str, dict[int, float]], points: dict[str, dict[str, float]]) -> dict:
    """tuned against the point with the best median, a repeat at a time."""
    best = max(rates.keys() - {TUNED}, key=lambda name: points[name]["median"])
    found = spread([rate / rates[best][repeat] for repeat, rate in rates[TUNED].items()])
    name, kept = f"tuned, times the best ({best})", found["median"] >= AT_LEAST
    return {"name": name, "wanted": f">= {AT_LEAST:g}", "kept": kept, **found}


if __name__ == "__main__":
    main()
