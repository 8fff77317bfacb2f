"""How fast each stage is on this machine, measured on a few rows before a run.

The stages' own workers run in Ray actors, held to their threads, several at once where they would
compete for caches and memory. Nothing of it comes into a run's folder.
"""

from __future__ import annotations

import gc
import json
import math
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from imagepipe import __version__, sources
from imagepipe.config import Config, Share
from imagepipe.execution import pipeline
from imagepipe.reports import terminal
from imagepipe.resources.machine import Machine, Node
from imagepipe.resources.packing import free_cpus
from imagepipe.resources.process import bind_threads
from imagepipe.resources.shares import pools
from imagepipe.resources.tuning import WORTH, Calibration, Point, halves
from imagepipe.stages.processor import LIGHT_CPUS
from imagepipe.stages.stage import FAILED_STAGE, Stage, Worker, apply
from imagepipe.store import write_whole

FOLDER = "calibrations"  # in `outputs`
BATCH_SIZES = (4, 8, 16, 32, 64)
SMALLER = (2, 1)  # where the memory is too small for any of those
LEAST_S = 1.5  # of measuring a point, after a batch that only warms up
ROWS = 32  # that the first stages are measured on
HANDED_ON = 8  # of them, worked on for the stages after them
MEMORY = 0.8  # of a node's, for the processes of one stage
# vLLM takes its share when it starts and makes its batches itself; a server is another machine.
UNMEASURED = {"vllm": "vLLM makes its batches itself", "openai": "a server answers it"}


def measured(config: Config, machine: Machine, console: Console) -> Calibration | None:
    """What `resources.calibrate_s` asks for: kept from an earlier run, or measured now."""
    if config.resources.calibrate_s is None:
        return None
    found = known(config, machine)
    if found is None:
        terminal.calibrating(console, config.resources.calibrate_s)
        found = calibrate(config, machine)
    return found


def known(config: Config, machine: Machine) -> Calibration | None:
    """What an earlier run of the same models kept, on the same machine and under `outputs`.

    Null where there is none that can be read.
    """
    path = _path(config, machine)
    try:
        found = json.loads(path.read_text("utf-8"))
        points = tuple(Point(**point) for point in found["points"])
        return Calibration(points, found["missing"], found["seconds"], str(path))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def calibrate(config: Config, machine: Machine) -> Calibration:
    """Measure the stages, in a Ray session, within `resources.calibrate_s`; keep what was found.

    A stage that breaks or takes too long ends it, is told of in `missing`, and nothing is kept:
    the run itself will show what is wrong.
    """
    began, path = time.monotonic(), _path(config, machine)
    until = began + (config.resources.calibrate_s or 0.0)
    tables = sources.scan(config.dataset, min(ROWS, config.limit or ROWS))
    node = min(machine.nodes, key=lambda node: (node.gpus, node.cpus))
    missing = {}
    if config.llm.engine in UNMEASURED:
        missing["llm"] = UNMEASURED[config.llm.engine]
        config = replace(config, llm=replace(config.llm, engine="none"))  # for its columns
    with _probes(node) as probes:
        bench = _Bench(node, probes, until)
        failed = bench.measure(config, tables)
    seconds = time.monotonic() - began
    found = {stage for stage, _, _ in bench.points}
    missing |= {stage: why for stage, why in failed.items() if stage not in found}
    made = Calibration(tuple(bench.points.values()), missing, seconds)
    return made if failed else _keep(made, path)


def _keep(made: Calibration, path: Path) -> Calibration:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(made), indent=2).encode())
    return replace(made, kept=str(path))


def _path(config: Config, machine: Machine) -> Path:
    """One file for all runs whose stages should be equally fast."""
    whole = asdict(config)
    stages = (whole[key] for key in ("llm", "model", "scorer"))
    parts = [__version__, *stages, str(machine), platform.node()]
    text = json.dumps(parts, sort_keys=True, default=str)
    digest = blake2b(text.encode(), digest_size=8).hexdigest()
    return Path(config.outputs, FOLDER, f"{digest}.json").absolute()


class _Probe:
    """A process in which one stage's worker after another is measured, as Ray actor.

    Libraries are loaded once, not for each stage anew.
    """

    def __init__(self) -> None:
        import torch  # what nearly all stages need, in all processes at once

        self.torch = torch
        self.work: Worker | None = None

    def load(self, stage: Stage, threads: int) -> int:
        """Make the worker of `stage`; returns the bytes of main memory that it took."""
        import psutil

        self.work = None
        self._forget()
        before = psutil.Process().memory_info().rss
        bind_threads(threads)
        self.work = stage.recipe()
        return psutil.Process().memory_info().rss - before

    def measure(self, table: pa.Table, size: int, threads: int) -> tuple[float, float] | None:
        """(Rows per second, most GPU memory as a share); None where the memory is too small."""
        assert self.work is not None
        bind_threads(threads)
        batches = _repeated(table, size)
        try:
            self.work(next(batches))
            done, began = 0, time.perf_counter()
            while time.perf_counter() - began < LEAST_S:
                self.work(next(batches))
                done += 1
            rate = done * size / (time.perf_counter() - began)
        except self.torch.OutOfMemoryError:
            return None
        finally:
            used = self._gpu_memory()
            self._forget()
        return rate, used

    def hand_on(self, stage: Stage, table: pa.Table, *, loaded: bool) -> pa.Table:
        """The rows as the next stage gets them; those that fail here left out."""
        work = self.work if loaded and self.work else stage.recipe()
        return _good(apply(stage, work, table))

    def _gpu_memory(self) -> float:
        if not self.torch.cuda.is_initialized():
            return 0.0
        free, whole = self.torch.cuda.mem_get_info()
        return (whole - free) / whole

    def _forget(self) -> None:
        gc.collect()
        if self.torch.cuda.is_initialized():
            self.torch.cuda.empty_cache()


@dataclass
class _Bench:
    """The probes of one node, what was measured with them, and until when it may go on."""

    node: Node
    probes: list[Any]
    until: float  # time.monotonic()
    points: dict[tuple[str, int, int], Point] = field(default_factory=dict)

    def measure(self, config: Config, tables: sources.Tables) -> dict[str, str]:
        """All stages in order; returns what could not be measured: {stage: reason}."""
        from ray.exceptions import GetTimeoutError, RayError

        chain = pipeline.stages(config, tables)
        left = dict(pools(config, config.resources))
        at = "read"
        try:
            table = _sample(tables)
            for stage in chain:
                at = stage.name
                table = self._past(stage, table, left)
        except GetTimeoutError:
            return dict.fromkeys(left, f"{config.resources.calibrate_s:g} s were over")
        except (RayError, ValueError) as error:
            return dict.fromkeys(left, f"{at}: {_one_line(error)}")
        return {}

    def _past(self, stage: Stage, table: pa.Table, left: dict[str, Share]) -> pa.Table:
        """Measure `stage` if it is one of those `left`, and work on some rows for the next one."""
        if not left:
            return table
        if table.num_rows == 0:
            raise ValueError("the rows before it failed")
        loaded = stage.name in left
        if loaded:
            now = time.monotonic()
            self._stage(stage, table, now + (self.until - now) / len(left))
            table = table.slice(0, HANDED_ON)
            del left[stage.name]
        return self._get([self.probes[0].hand_on.remote(stage, table, loaded=loaded)])[0]

    def _stage(self, stage: Stage, table: pa.Table, until: float) -> None:
        """Each batch size with as many processes as there may be, then fewer with the best."""
        took = self._get([self.probes[0].load.remote(stage, 1)])[0]
        most = len(self.probes)
        if self.node.memory:
            most = max(1, min(most, int(MEMORY * self.node.memory / max(1, took))))
        self._get([probe.load.remote(stage, 1) for probe in self.probes[1:most]])
        best = self._batch_sizes(stage, table, most, until)
        for pool in halves(most):
            if time.monotonic() + _seconds(best) > until:
                break
            self._point(stage, table, pool, best.batch_size)

    def _batch_sizes(self, stage: Stage, table: pa.Table, pool: int, until: float) -> Point:
        """Measure larger batches until two in a row are not worth it, all of them twice where
        there is time; the best. Raises ValueError where the memory is too small for one row."""
        found: list[Point] = []
        for size in BATCH_SIZES:
            point = self._point(stage, table, pool, size)
            if point is None:
                break
            found.append(point)
            before = max((p.rows_per_s for p in found[:-2]), default=0.0)
            gains = max(p.rows_per_s for p in found[-2:]) > WORTH * before
            if not gains or time.monotonic() + 2 * _seconds(point) > until:
                break
        for size in () if found else SMALLER:
            point = None if found else self._point(stage, table, pool, size)
            found += [point] if point else []
        if not found:
            raise ValueError("one row is too much for the memory")
        for point in found:
            if time.monotonic() + _seconds(point) < until:
                self._point(stage, table, pool, point.batch_size)
        better = [self.points[stage.name, pool, point.batch_size] for point in found]
        return max(better, key=lambda point: point.rows_per_s)

    def _point(self, stage: Stage, table: pa.Table, pool: int, size: int) -> Point | None:
        """None where the memory is too small. Of two measurements the better one stays: what
        disturbs can only make slower."""
        threads = max(1, int(free_cpus(Machine((self.node,)))) // pool)
        calls = [probe.measure.remote(table, size, threads) for probe in self.probes[:pool]]
        found = self._get(calls)
        if None in found:
            return None
        rate, memory = sum(rate for rate, _ in found), max(memory for _, memory in found)
        point = Point(stage.name, pool, threads, size, rate, memory)
        key = (stage.name, pool, size)
        if key not in self.points or self.points[key].rows_per_s < rate:
            self.points[key] = point
        return point

    def _get(self, calls: list[Any]) -> list[Any]:
        import ray

        return ray.get(calls, timeout=max(0.0, self.until - time.monotonic()))


@contextmanager
def _probes(node: Node) -> Iterator[list[Any]]:
    """A process for each GPU, or where there is none for each CPU, as long as this is entered."""
    import ray

    number = node.gpus or max(1, int(node.cpus))
    cpus = math.floor(100 * free_cpus(Machine((node,))) / number) / 100
    actor = ray.remote(_Probe).options(num_cpus=min(1.0, cpus), num_gpus=min(1, node.gpus))
    probes = [actor.remote() for _ in range(number)]
    try:
        yield probes
    finally:
        for probe in probes:
            ray.kill(probe)


def _sample(tables: sources.Tables) -> pa.Table:
    """The good ones of the first rows."""
    data = sources.read(tables, num_cpus=LIGHT_CPUS)
    return _good(data.take_batch(ROWS, batch_format="pyarrow"))


def _good(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_null(table[FAILED_STAGE]))


def _repeated(table: pa.Table, size: int) -> Iterator[pa.Table]:
    """Batches of `size` rows without end, each beginning where the one before ended."""
    rows = pa.concat_tables([table] * (1 + math.ceil(size / table.num_rows)))
    start = 0
    while True:
        yield rows.slice(start, size).combine_chunks()
        start = (start + size) % table.num_rows


def _seconds(point: Point) -> float:
    """What measuring it takes."""
    batch = point.pool * point.batch_size / point.rows_per_s
    return batch + max(LEAST_S, batch)


def _one_line(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    said = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {said[-1] if said else ''}"
