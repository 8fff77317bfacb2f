"""What jobs side by side save.

    python benchmarks/side_by_side.py [--seconds 60] [--repeats 3]

Two jobs on a cluster of two nodes (of two CPUs each, both processes of this machine), whose model
sleeps: one after another on both nodes, each with a process on one of them, and at once, a node
each. The time is that of the whole command.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import Rows, done

STORE_BYTES = 100 << 20  # of each node's objects
PICTURE_S = 0.5


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="that a job's model sleeps")
    args = parser.parse_args()
    rows = 8 if args.tiny else round(args.seconds / PICTURE_S)
    benchmark = Benchmark(
        name="side_by_side",
        question="What do jobs side by side save?",
        variants={
            "at once": partial(swept, rows=rows, at_once=2),
            "one after another": partial(swept, rows=rows, at_once=1),
        },
        limits=(Limit("at once, times one after another", ratio, at_most=0.60),),
        settings={"rows": rows, "picture_s": PICTURE_S},
    )
    run(benchmark, args)


def swept(folder: Path, rows: int, at_once: int) -> Figures:
    code = Path(__file__).with_name("sleeping.py")
    overrides = Rows(rows).write(folder) | {
        "sweep.jobs_at_once": at_once,
        "hydra.sweep.dir": "sweep",
        "model": "noop",
        "model.engine": "custom",
        "model._target_": "sleeping.Sleeps",
        "+model.options.seconds": PICTURE_S,
        "model.width": 16,
        "model.height": 16,
        "resources.model.pool": 1,
        "llm": "none",
        "scorer": "none",
        "tracking": "none",
        "ray": "cluster",
        "+ray.runtime_env.py_modules": f"[{code}]",
    }
    (folder / code.name).write_bytes(code.read_bytes())  # where it is typed, so it is found
    with two_nodes() as address:
        typed = [f"{key}={value}" for key, value in (overrides | {"ray.address": address}).items()]
        began = time.time()
        done([sys.executable, "-m", "imagepipe", "-m", "model.steps=1,2", *typed], folder)
        return {"seconds": time.time() - began}


@contextmanager
def two_nodes() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": 2, "object_store_memory": STORE_BYTES}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        nodes.add_node(**node)
        yield str(nodes.address)
    finally:
        nodes.shutdown()


def ratio(repeat: Repeat) -> float:
    return repeat["at once"]["seconds"] / repeat["one after another"]["seconds"]


if __name__ == "__main__":
    main()
