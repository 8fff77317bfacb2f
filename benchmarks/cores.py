"""Where the cores go in steady state: what each kind of imagepipe's processes takes of them.

    python benchmarks/cores.py [--rows 440] [--repeats 3]

The job of `bare.py`. All processes are looked at twice a second, and told apart by what they call
themselves; what counts is the time between the first and the last tenth of the pictures. Each
figure is a share of all cores of this machine, so that they and what stood idle add up to 1. The
bare loop, a process a core, is what the models could take. Both are measured on one core alone too:
what imagepipe takes besides its models does not double with the cores, which tells what more of
them would give.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import psutil
from bare import WITHOUT, loop
from common import Benchmark, Figures, arguments, run
from pictures import imagepipe, watched, when_written, without_ends

KINDS = {  # by what their command line has, the first that fits
    "models": r"^ray::.*\(model\)|multiprocessing\.spawn|bare_loop\.py",
    "ray_datas_actors": r"^ray::(_StatsActor|_AutoscalingCoordinatorActor|ActorLocationTracker)",
    "tasks": r"^ray::",
    "driver": r"-m imagepipe ",
    "ray": r"/ray/",
}
Sample = tuple[float, dict[int, tuple[str, float]]]  # time.time(); by pid: kind, seconds of CPU


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=440)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 6)
    every = os.sched_getaffinity(0)
    variants: dict[str, Callable[[Path], Figures]] = {}
    for where, cores in {"": every, ", on one core": {min(every)}}.items():
        bare = partial(loop, rows, steps, len(cores))
        ours = partial(imagepipe, rows=rows, overrides={**WITHOUT, "model.steps": steps})
        for name, draw in {"bare, a process a core": bare, "imagepipe": ours}.items():
            variants[f"{name}{where}"] = partial(measured, draw, cores)
    benchmark = Benchmark(
        name="cores",
        question="Where do the cores go while pictures are drawn?",
        variants=variants,
        settings={"rows": rows, "steps": steps},
    )
    run(benchmark, args)


def measured(draw: Callable[..., Figures], cores: set[int], folder: Path) -> Figures:
    samples: list[Sample] = []
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # of what is started from here
    try:
        with watched(lambda: samples.append(sample())):
            draw(folder=folder)
    finally:
        os.sched_setaffinity(0, every)
    steady = without_ends(when_written(folder))
    return shares(samples, steady[0], steady[-1], len(cores))


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


def shares(samples: list[Sample], first: float, last: float, cores: int) -> Figures:
    """Of each kind, its share of so many cores from `first` to `last`, as `time.time()`."""
    before = [one for one in samples if one[0] <= first][-1:]
    steady = before + [one for one in samples if first < one[0] <= last]
    used: Counter[str] = Counter()
    for (_, then), (_, now) in pairwise(steady):  # one that ends in between has no last sample
        for pid, (name, seconds) in now.items():
            used[name] += seconds - then.get(pid, ("", 0.0))[1]
    over = (steady[-1][0] - steady[0][0]) * cores
    return {name: seconds / over for name, seconds in used.items() if seconds}


if __name__ == "__main__":
    main()
