"""What Ray takes of the CPUs while nothing is to be done: the floor under every steady rate.

    python benchmarks/idle.py [--repeats 3]

A local session as imagepipe starts it, with as many actors as a small run has: three of Ray Data's
own, two that draw. Its processes are watched for half a minute in which nobody asks them anything.
`switched off` is the same with those of Ray's reports off that have a switch. The last figure is of
all cores of this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from common import Benchmark, Figures, arguments, run
from pictures import ENVIRONMENT

ACTORS = 5
OFF = {
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
}


def main() -> None:
    if sys.argv[1:2] == ["--session"]:
        print(json.dumps(watched(float(sys.argv[2]))))
        return
    args = arguments(__doc__, repeats=3).parse_args()
    seconds = 1.0 if args.tiny else 30.0
    benchmark = Benchmark(
        name="idle",
        question="What does Ray cost while nothing happens?",
        variants={
            "as it is": partial(session, seconds, {}),
            "switched off": partial(session, seconds, OFF),
        },
        settings={"actors": ACTORS, "seconds": seconds},
    )
    run(benchmark, args)


def session(seconds: float, variables: dict[str, str], folder: Path) -> Figures:
    """In a process of its own, since Ray reads its variables once."""
    done = subprocess.run(
        [sys.executable, __file__, "--session", str(seconds)],
        env=os.environ | ENVIRONMENT | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def watched(seconds: float) -> Figures:
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False)

    @ray.remote(num_cpus=0)
    class Actor:
        def here(self) -> None: ...

    actors = [Actor.remote() for _ in range(ACTORS)]
    ray.get([actor.here.remote() for actor in actors])
    time.sleep(seconds / 3)  # for what still starts
    before, began = cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    used = cpu_seconds() - before
    cores = used / (time.perf_counter() - began)
    ray.shutdown()
    return {"cores": cores, "of_all": cores / len(os.sched_getaffinity(0))}


def cpu_seconds() -> float:
    """Of this process and all that it started."""
    import psutil

    me = psutil.Process()
    times = [process.cpu_times() for process in [me, *me.children(recursive=True)]]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    main()
