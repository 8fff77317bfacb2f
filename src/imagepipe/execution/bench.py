"""Measures the stages' own workers in Ray actors that are limited to their threads; several at
once, because they compete for caches and memory.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe import errors, sources
from imagepipe.resources.machine import Machine, Node
from imagepipe.resources.packing import free_cpus
from imagepipe.resources.process import bind_threads
from imagepipe.resources.tuning import WORTH, Point, halves
from imagepipe.stages.processor import LIGHT_CPUS
from imagepipe.stages.stage import FAILED_STAGE, Stage, Worker, apply, out_of_memory

BATCH_SIZES = (4, 8, 16, 32, 64)
SMALLER = (2, 1)  # where the memory is too small for any of those
LEAST_S = 1.5  # of measuring a point, after a batch that only warms up
ROWS = 32  # that the first stages are measured on
HANDED_ON = 8  # of them, worked on for the stages after them
MEMORY = 0.8  # of a node's, for the processes of one stage


class Probe:
    """A Ray actor that measures the workers of several stages, one after another.

    So libraries are loaded once, not for each stage.
    """

    def __init__(self) -> None:
        self.work: Worker | None = None

    def load(self, stage: Stage, threads: int) -> int:
        """Make the worker of `stage`; returns the bytes of main memory that it took."""
        import psutil

        self.work = None
        self.forget()
        before = psutil.Process().memory_info().rss
        bind_threads(threads)
        self.work = stage.recipe()
        return psutil.Process().memory_info().rss - before

    def measure(self, table: pa.Table, size: int, threads: int) -> tuple[float, float] | None:
        """(Rows per second, most GPU memory as a share); None if the memory is too small."""
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
        except Exception as error:
            if not out_of_memory(error):
                raise
            return None
        finally:
            used = _gpu_memory()
            self.forget()
        return rate, used

    def hand_on(self, stage: Stage, table: pa.Table, *, loaded: bool) -> pa.Table:
        """The rows for the next stage; those that fail here are left out."""
        work = self.work if loaded and self.work else stage.recipe()
        return _good(apply(stage, work, table))

    def forget(self) -> None:
        gc.collect()
        if torch := _torch_on_gpu():
            torch.cuda.empty_cache()


@dataclass
class Bench:
    """The probes of one node, the measurements so far, and the time limit."""

    node: Node
    probes: list[Any]
    began: float  # time.monotonic()
    until: float
    points: dict[tuple[str, int, int], Point] = field(default_factory=dict)

    def measure(
        self, chain: Sequence[Stage], tables: sources.Tables, left: list[str]
    ) -> dict[str, str]:
        """Those stages of `chain` that are `left`; which of them could not be, and why."""
        from ray.exceptions import GetTimeoutError, RayError

        at = "read"
        try:
            table = _sample(tables)
            for stage in chain:
                at = stage.name
                table = self._past(stage, table, left)
        except GetTimeoutError:
            return dict.fromkeys(left, f"{self.until - self.began:g} s were over")
        except (RayError, ValueError) as error:
            return dict.fromkeys(left, f"{at}: {errors.with_class(error)}")
        return {}

    def _past(self, stage: Stage, table: pa.Table, left: list[str]) -> pa.Table:
        """Measure `stage` if it is among those `left`, and process some rows for the next one."""
        if not left:
            return table
        if table.num_rows == 0:
            raise ValueError("the rows before it failed")
        loaded = stage.name in left
        if loaded:
            now = time.monotonic()
            self._stage(stage, table, now + (self.until - now) / len(left))
            table = table.slice(0, HANDED_ON)
            left.remove(stage.name)
        return self._get([self.probes[0].hand_on.remote(stage, table, loaded=loaded)])[0]

    def _stage(self, stage: Stage, table: pa.Table, until: float) -> None:
        """Measure each batch size with the largest number of processes, then fewer processes
        with the best.
        """
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
        there is time; the best. Raises ValueError if the memory is too small for one row."""
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
        """None if the memory is too small. The better of two measurements counts, because
        disturbances only make slower.
        """
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
def probes(node: Node) -> Iterator[list[Any]]:
    """One actor per GPU, or without GPUs per CPU, for the duration of the block."""
    import ray

    number = node.gpus or max(1, int(node.cpus))
    cpus = math.floor(100 * free_cpus(Machine((node,))) / number) / 100
    actor = ray.remote(Probe).options(num_cpus=min(1.0, cpus), num_gpus=min(1, node.gpus))
    probes = [actor.remote() for _ in range(number)]
    try:
        yield probes
    finally:
        for probe in probes:
            ray.kill(probe)


def _gpu_memory() -> float:
    """The share of this process's GPU memory that is in use: 0 to 1."""
    if torch := _torch_on_gpu():
        free, whole = torch.cuda.mem_get_info()
        return (whole - free) / whole
    return 0.0


def _torch_on_gpu() -> Any:
    """torch, if a stage has loaded it and uses a GPU."""
    torch = sys.modules.get("torch")
    return torch if torch and torch.cuda.is_initialized() else None


def _sample(tables: sources.Tables) -> pa.Table:
    """The good rows among the first ones."""
    data = sources.read(tables, num_cpus=LIGHT_CPUS)
    return _good(data.take_batch(ROWS, batch_format="pyarrow"))


def _good(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_null(table[FAILED_STAGE]))


def _repeated(table: pa.Table, size: int) -> Iterator[pa.Table]:
    """Batches of `size` rows without end, each starting where the one before ended."""
    rows = pa.concat_tables([table] * (1 + math.ceil(size / table.num_rows)))
    start = 0
    while True:
        yield rows.slice(start, size).combine_chunks()
        start = (start + size) % table.num_rows


def _seconds(point: Point) -> float:
    """What measuring it takes."""
    batch = point.pool * point.batch_size / point.rows_per_s
    return batch + max(LEAST_S, batch)
