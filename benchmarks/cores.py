"""Where the cores go in steady state: what each kind of imagepipe's processes takes of them.

    python benchmarks/cores.py [--rows 440] [--repeats 2]

The job of `bare.py`. All processes are looked at twice a second, and told apart by what they call
themselves; what counts is the time between the first and the last tenth of the pictures. Each
figure is a share of all cores of this machine, so that they and what stood idle add up to 1. The
bare loop, a process a core, is what the models could take.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
from bare import WITHOUT, loop
from common import Benchmark, Figures, arguments, run
from pictures import imagepipe, watched, when_written, without_ends

KINDS = {  # by what their command line has, the first that fits
    "models": r"^ray::.*\(model\)|multiprocessing\.spawn",
    "ray_datas_actors": r"^ray::(_StatsActor|_AutoscalingCoordinatorActor|ActorLocationTracker)",
    "tasks": r"^ray::",
    "driver": r"-m imagepipe ",
    "ray": r"/ray/",
}
Sample = tuple[float, dict[int, tuple[str, float]]]  # time.time(); by pid: kind, seconds of CPU


def main() -> None:
    parser = arguments(__doc__, repeats=2)
    parser.add_argument("--rows", type=int, default=440)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 6)
    drawn = {
        "bare, a process a core": partial(loop, rows, steps, len(os.sched_getaffinity(0))),
        "imagepipe": partial(imagepipe, rows=rows, overrides={**WITHOUT, "model.steps": steps}),
    }
    benchmark = Benchmark(
        name="cores",
        question="Where do the cores go while pictures are drawn?",
        variants={name: partial(measured, draw) for name, draw in drawn.items()},
        settings={"rows": rows, "steps": steps},
    )
    run(benchmark, args)


def measured(draw: Callable[..., Figures], folder: Path) -> Figures:
    samples: list[Sample] = []
    with watched(lambda: samples.append(sample())):
        draw(folder=folder)
    steady = without_ends(when_written(folder))
    return shares(samples, steady[0], steady[-1])


def sample() -> Sample:
    seen = {}
    for process in psutil.Process().children(recursive=True):
        try:
            used = process.cpu_times()
            seen[process.pid] = (kind(" ".join(process.cmdline())), used.user + used.system)
        except psutil.Error:
            continue  # it has ended
    return time.time(), seen


def kind(title: str) -> str:
    return next((name for name, like in KINDS.items() if re.search(like, title)), "others")


def shares(samples: list[Sample], first: float, last: float) -> Figures:
    """Of each kind, the share of all cores from `first` to `last`, as `time.time()`."""
    began, before = [one for one in samples if one[0] <= first][-1]
    ended, after = next(one for one in samples if one[0] >= last)
    used: Counter[str] = Counter()
    for pid, (name, seconds) in after.items():
        used[name] += seconds - before.get(pid, ("", 0.0))[1]
    cores = len(os.sched_getaffinity(0))
    return {name: seconds / (ended - began) / cores for name, seconds in used.items() if seconds}


if __name__ == "__main__":
    main()
