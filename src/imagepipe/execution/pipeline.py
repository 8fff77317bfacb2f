"""The one place where stages become Ray Data operators.

read -> join -> prompt -> enhance -> generate -> score -> write
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from imagepipe import diffusion, llm, scoring, sources
from imagepipe.compat import ray_data
from imagepipe.config import PICTURES, Config, Resources, Share
from imagepipe.diffusion import rows
from imagepipe.diffusion.rows import RowSettings
from imagepipe.execution import chain
from imagepipe.resources.process import (
    alone_on_gpus,
    bind,
    freeze_gc,
    out_of_memory_error,
    ray_resources,
)
from imagepipe.resources.shares import bytes_on_their_way
from imagepipe.resources.workload import pools
from imagepipe.sink.reuse import Taken, taking
from imagepipe.sink.writer import Writer
from imagepipe.stages.processor import LIGHT_CPUS, ProcessorStage, fold, unfold
from imagepipe.stages.stage import BatchSizeBackoff, Stage, apply, worker

if TYPE_CHECKING:
    from ray.data import Dataset

# Not LIGHT_CPUS: Ray Data makes one operator of neighbours that ask alike, and one that it made of
# this and the next would hand on blocks of any size.
BLOCK_CPUS = 0.2

# Blocks that a process has or is on its way to have, so that it never waits for the next.
IN_FLIGHT = 2
NOTHING: Mapping[str, Taken] = {}


def check(config: Config, tables: sources.Tables) -> list[Stage]:
    """The stages of a run. Raises UserError if an engine, its weights or its options are
    unavailable, if a stage reads a column that does not exist, or if `filter` cannot be applied.
    """
    check_engines(config)
    every = chain.stages(config, tables)
    chain.check_filter(config, tables, every)
    return every


def check_engines(config: Config) -> None:
    """Raise UserError if an engine, its weights or its options are unavailable.

    First prints what the user should know before: a server may draw a picture for this check.
    """
    from rich.console import Console  # not in the processes of a run, which load this module

    from imagepipe.reports import terminal

    terminal.print_first(Console(stderr=True), config.model)
    diffusion.check(config.model)
    llm.check(config.llm)
    for scorer in config.scorer.values():
        scoring.check(scorer, one_of=len(config.scorer))


def build(
    config: Config,
    tables: sources.Tables,
    every: Sequence[Stage],
    resources: Resources,
    writer: Writer,
    done: pa.Array | None = None,
    taken: Mapping[str, Taken] = NOTHING,
) -> Dataset:
    """The whole plan through the stages `every`, lazily: running it yields one row of
    `sink.COUNTS` per written batch.

    Rows whose ids (as text) are in `done` are left out. Results in `taken` are reused; a stage
    whose results are all reused has no processes.
    """
    return written(drawn(config, tables, every, resources, done, taken), config, resources, writer)


def drawn(
    config: Config,
    tables: sources.Tables,
    every: Sequence[Stage],
    resources: Resources,
    done: pa.Array | None = None,
    taken: Mapping[str, Taken] = NOTHING,
) -> Dataset:
    """The plan without its writer, lazily: running it yields the rows with their pictures."""
    shares = dict(pools(config, resources))
    own = rows.settings(config.model, tables.renamed)
    data = sources.read(tables, LIGHT_CPUS, done, by_one_task=bool(own.shared))
    first = next(s for s in every if s.name in {*shares, PICTURES})  # a model has processes
    for stage in every:
        share = shares.get(stage.name)
        if stage is first:  # before it all is one operator, which takes blocks as they were read
            if own.shared:
                batch = resources.model.batch_size
                data = _light(data, "order", partial(RowSettings.ordered, own, batch=batch))
            size = resources.rows_per_block or tables.rows
            data = ray_data.in_blocks(data, size, tables.rows, BLOCK_CPUS)
        if known := taken.get(stage.name):
            name = stage.name if known.whole else f"reuse_{stage.name}"
            data = _light(data, name, taking(known))
        if known is None or not known.whole:
            data = through(data, stage, share, resources.key(stage.name))
    return data


def through(data: Dataset, stage: Stage, share: Share | None, key: str) -> Dataset:
    """The rows after `stage`: in a pool of processes, or, without a share, in tasks.

    `key` is that of the share, for errors.
    """
    if share is None:
        return _as_tasks(data, stage)
    if isinstance(stage, ProcessorStage):
        return _through_processor(data, stage, share)
    return _as_actors(data, stage, share, key)


def written(
    data: Dataset,
    config: Config,
    resources: Resources,
    writer: Callable[[pa.Table], pa.Table],
) -> Dataset:
    """The last operator: what `writer` returns for each batch."""
    from ray.data import ExecutionResources

    data = data.map_batches(
        write,
        fn_kwargs={"writer": writer},
        batch_format="pyarrow",
        batch_size=resources.sink.batch_size,
        num_cpus=resources.sink.num_cpus or LIGHT_CPUS,
        concurrency=resources.sink.pool,
    )
    # The Dataset's own context: a shuffle before it, which has to hold all rows, is not limited.
    data.context.execution_options.resource_limits = ExecutionResources.for_limits(
        object_store_memory=bytes_on_their_way(config, resources)
    )
    return data


def write(table: pa.Table, writer: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """The last operator, with a name of its own."""
    return writer(table)


def _as_tasks(data: Dataset, stage: Stage) -> Dataset:
    return _light(data, stage.name, lambda table: apply(stage, worker(stage.recipe), table))


def _through_processor(data: Dataset, stage: ProcessorStage, share: Share) -> Dataset:
    """Ray Data's processor has operators of its own; `_as_actors` is not for it."""
    data = _light(data, f"{stage.name}_questions", lambda table: fold(stage, table))
    data = stage.processor(share)(data)
    return _light(data, f"{stage.name}_replies", lambda table: unfold(stage, table))


def _light(data: Dataset, name: str, run: Callable[[pa.Table], pa.Table]) -> Dataset:
    run.__name__ = name  # what Ray Data calls the operator
    return data.map_batches(run, batch_format="pyarrow", batch_size=None, num_cpus=LIGHT_CPUS)


def _as_actors(data: Dataset, stage: Stage, share: Share, key: str) -> Dataset:
    most = share.pool_max or share.pool
    # A GPU draws on while a thread takes the last pictures to the object store: Ray Data lets one
    # call at a time work. On a CPU nothing would be gained, and two blocks would come out late,
    # since their batches take turns.
    return ray_data.map_in_actors(
        data,
        type(stage.name, (_Actor,), {}),  # what Ray Data calls the operator
        least=share.pool,
        most=most,
        at_once=IN_FLIGHT if share.num_gpus else 1,
        # A pool grows by what queues at its processes, which Ray Data then numbers.
        in_flight=IN_FLIGHT if most == share.pool else None,
        fn_constructor_args=(stage, share, key),
        batch_format="pyarrow",
        batch_size=share.batch_size,
        num_cpus=share.num_cpus,
        num_gpus=share.num_gpus,
        **ray_resources(share),
    )


class _Actor:
    """One process of a pool: bound to its share, with weights loaded once.

    Adds `<stage>_s`: the seconds per row, as an equal part of its batch's time.
    """

    def __init__(self, stage: Stage, share: Share, key: str) -> None:
        bind(share)
        self.stage = stage
        shares_a_gpu = 0 < share.num_gpus < 1
        try:
            with alone_on_gpus() if shares_a_gpu else nullcontext(), freeze_gc():
                self.work = BatchSizeBackoff(stage.recipe())
        except Exception as error:
            raise out_of_memory_error(stage.name, key, share, error) from error

    def __call__(self, table: pa.Table) -> pa.Table:
        start = time.perf_counter()
        table = apply(self.stage, self.work, table)
        each = (time.perf_counter() - start) / max(1, len(table))
        seconds = pa.array([each] * len(table), pa.float32())
        return table.append_column(f"{self.stage.name}_s", seconds)
