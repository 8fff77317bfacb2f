"""From a calibration to shares that balance the pipeline: pure functions.

A pipeline is as fast as its slowest stage, and as the CPUs or GPUs that its stages share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from imagepipe.config import Share
from imagepipe.errors import figure
from imagepipe.resources.machine import Machine
from imagepipe.resources.packing import Misfit, Pools, pack, scaled_cpus

WORTH = 1.03  # a larger batch or a further process must make so much more
HEADROOM = 1.1  # of a GPU's memory, over the most that was in use while measuring
BATCHES_EACH = 2  # at least, for every process: with fewer some would stand idle at the end


@dataclass(frozen=True)
class Point:
    """A measurement: `pool` processes of one stage at once, `rows_per_s` of all together.

    On the CPU each process has `threads`. On a GPU each has one GPU, and `gpu_memory` is the
    highest share of it in use, CUDA's own part included; 0 on the CPU.
    """

    stage: str
    pool: int
    threads: int
    batch_size: int
    rows_per_s: float
    gpu_memory: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """What was measured on one node in `seconds`; what was not, and why: {stage: reason}.

    Of each stage there is every batch size at its largest pool, every pool at one batch size.
    `kept` is the file that holds it for the next run.
    """

    points: tuple[Point, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    kept: str | None = None

    @property
    def stages(self) -> list[str]:
        return list(dict.fromkeys(point.stage for point in self.points))

    def of(self, stage: str) -> list[Point]:
        return [point for point in self.points if point.stage == stage]

    def by_batch(self, stage: str) -> list[Point]:
        """The points of the largest pool, the smallest batches first."""
        points = self.of(stage)
        most = max(point.pool for point in points)
        found = [point for point in points if point.pool == most]
        return sorted(found, key=lambda point: point.batch_size)


@dataclass(frozen=True)
class Choice:
    """The shares of the stages, and the reasons in a few lines.

    `rows_per_s` is the highest rate to expect of them; null if nothing was measured.
    """

    pools: Pools
    reasons: tuple[str, ...]
    rows_per_s: float | None = None


def choose(base: Pools, machine: Machine, rows: int, measured: Calibration) -> Choice:
    """The fastest shares for `rows` by what was `measured`; what was not keeps its part of `base`.

    Of shares about as fast those with the fewest processes. Every node of a cluster gets the same.
    """
    nodes = len(machine.nodes)
    said = [f"{stage}: not measured ({why})" for stage, why in measured.missing.items()]
    batches = _batches(base, rows // nodes, measured)
    options = [
        _options(measured, stage, size, _limit(base[stage], size, rows, nodes))
        for stage, size in batches.items()
    ]
    for points in _by_preference([list(points) for points in product(*options)], machine):
        pools = _shares(base, points, machine)
        if points and not isinstance(pack(pools, machine), Misfit):
            rate, limit = predicted(points, machine)
            said += [_why(point, pools[point.stage], measured) for point in points]
            said.append(f"{figure(rate)} rows/s at most, by {limit}")
            return Choice(pools, tuple(said), rate)
    return Choice(base, (*said, "nothing measured that fits here: shares as of resources=auto"))


def predicted(points: Sequence[Point], machine: Machine) -> tuple[float, str]:
    """Rows per second of a pipeline of `points` on every node of `machine`, and what limits it.

    Each stage alone does `rows_per_s`; while it does, its processes hold their CPUs or GPUs, and
    what all stages together hold for a row is free only so often in a second.
    """
    limits = {point.stage: point.rows_per_s for point in points}
    cpus = sum(p.pool * p.threads / p.rows_per_s for p in points if not p.gpu_memory)
    gpus = sum(p.pool / p.rows_per_s for p in points if p.gpu_memory)
    nodes = len(machine.nodes)
    if cpus:
        limits["the CPUs that all stages share"] = machine.cpus / nodes / cpus
    if gpus:
        limits["the GPUs that all stages share"] = machine.gpus / nodes / gpus
    name = min(limits, key=lambda limit: limits[limit])
    return nodes * limits[name], name


def _by_preference(found: list[list[Point]], machine: Machine) -> list[list[Point]]:
    """The fastest first; among those about as fast, the fewest processes first."""
    rates = [predicted(points, machine)[0] if points else 0.0 for points in found]
    top = max(rates)

    def key(place: int) -> tuple[float, float, float]:
        near = rates[place] * WORTH >= top
        processes = sum(point.pool for point in found[place])
        return (0, processes, -rates[place]) if near else (1, -rates[place], processes)

    return [found[place] for place in sorted(range(len(found)), key=key)]


def _batches(base: Pools, rows: int, measured: Calibration) -> dict[str, int]:
    """A batch size for each stage: the fastest, but as small as GPU memory demands."""
    curves = {stage: _enough_rows(measured.by_batch(stage), rows) for stage in measured.stages}
    place = {stage: _best(curve) for stage, curve in curves.items()}
    while sum(_need(curves[stage][at]) for stage, at in place.items()) > _room(base, measured):
        shrinkable = [stage for stage, at in place.items() if at and curves[stage][at].gpu_memory]
        if not shrinkable:
            break
        place[max(shrinkable, key=lambda stage: _need(curves[stage][place[stage]]))] -= 1
    return {stage: curves[stage][at].batch_size for stage, at in place.items()}


def _enough_rows(points: list[Point], rows: int) -> list[Point]:
    """The sizes with a batch for each process, or else the smallest."""
    return [p for p in points if p.pool * p.batch_size * BATCHES_EACH <= rows] or points[:1]


def _best(curve: Sequence[Point]) -> int:
    top = max(point.rows_per_s for point in curve)
    return next(at for at, point in enumerate(curve) if point.rows_per_s * WORTH >= top)


def _limit(share: Share, size: int, rows: int, nodes: int) -> int:
    """Processes of a node for which there are batches of `size`, and which there may be."""
    batches = math.ceil(rows // nodes / size)
    return min(batches, share.pool_max // nodes) if share.pool_max else batches


def _options(measured: Calibration, stage: str, size: int, limit: int) -> list[Point]:
    """A point for each pool up to `limit`, and for a pool of one, at batches of `size`: as
    measured, or what follows from others."""
    by_batch = {point.batch_size: point for point in measured.by_batch(stage)}
    most = by_batch[size]
    rates = {(most.pool, most.threads): most.rows_per_s}
    for pool in halves(most.pool):  # in proportion at least: fewer stand less in each other's way
        rates[pool, most.threads] = most.rows_per_s * pool / most.pool
    for point in measured.of(stage):
        if point.pool != most.pool:
            gain = most.rows_per_s / by_batch[point.batch_size].rows_per_s
            rates[point.pool, point.threads] = point.rows_per_s * gain
    made = [
        replace(most, pool=pool, threads=threads, rows_per_s=rate)
        for (pool, threads), rate in rates.items()
    ]
    return [p for p in made if p.pool == 1 or p.pool <= limit]


def halves(pool: int) -> list[int]:
    """Smaller pools to try: half as many, and so on down to one."""
    return [pool >> shift for shift in range(1, pool.bit_length())]


def _shares(base: Pools, points: Sequence[Point], machine: Machine) -> Pools:
    changed = {}
    for point in points:
        share, pool = base[point.stage], point.pool * len(machine.nodes)
        pool = min(pool, share.pool_max or pool)
        share = replace(share, pool=pool, batch_size=point.batch_size)
        if point.gpu_memory:
            share = replace(share, num_gpus=_gpu_share(point, points, base))
        else:
            share = replace(share, num_cpus=float(point.threads))
        changed[point.stage] = share
    return scaled_cpus(base | changed, machine)


def _gpu_share(point: Point, points: Sequence[Point], base: Pools) -> float:
    """The memory that it needs, and of what nobody needs a part by the time that it works."""
    measured = [p for p in points if p.gpu_memory]
    held = sum(base[stage].num_gpus for stage in base if stage not in [p.stage for p in measured])
    spare = max(0.0, 1 - held - sum(map(_need, measured)))
    times = {p.stage: p.pool / p.rows_per_s for p in measured}
    share = _need(point) + spare * times[point.stage] / sum(times.values())
    return math.floor(100 * share + 1e-6) / 100


def _need(point: Point) -> float:
    """The share of a GPU for its memory, in whole hundredths."""
    return min(1.0, math.ceil(100 * HEADROOM * point.gpu_memory) / 100)


def _room(base: Pools, measured: Calibration) -> float:
    """What is left of each GPU beside the stages that were not measured."""
    held = sum(share.num_gpus for stage, share in base.items() if stage not in measured.stages)
    return 1 - held + 1e-6


def _why(point: Point, share: Share, measured: Calibration) -> str:
    """One line on a stage: what was chosen, and the rate of each pool and batch size."""
    slowest_first = sorted(measured.of(point.stage), key=lambda point: point.rows_per_s)
    pools = _listed({p.pool: p.rows_per_s for p in slowest_first})
    sizes = _listed({p.batch_size: p.rows_per_s for p in measured.by_batch(point.stage)})
    memory = f", {100 * point.gpu_memory:.0f} % of a GPU" if point.gpu_memory else ""
    return (
        f"{point.stage}: {share.pool} with batches of {share.batch_size}, "
        f"{figure(point.rows_per_s)} rows/s{memory}; rows/s by processes {pools}, by batch {sizes}"
    )


def _listed(rates: Mapping[int, float]) -> str:
    return ", ".join(f"{key}: {figure(rates[key])}" for key in sorted(rates))
