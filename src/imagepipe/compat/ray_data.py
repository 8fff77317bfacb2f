"""Private names of Ray Data: what its executor is doing; and differences between its releases."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagepipe.compat import find, miss

if TYPE_CHECKING:
    from ray.data import DataContext, Dataset
    from ray.data.llm import Processor

FIGURES = (
    "The stages have no figures; Ctrl-C stops at once, without waiting for the pictures under way; "
    "and a stage whose processes do not come up is noticed only where none of them was there yet."
)
UNCUT = "All rows are read before the first picture is drawn: a later start, and more memory."
UNNAMED = "The processes of vLLM have Ray's name in the figures, and only its own limits."
STALLS = "A run in which nothing moves is not ended: ray.progress_timeout_s does nothing."
FOR_EVER = "A row that ends its process is tried again for ever."
WHOLE_CPU = "Reading WebDataset's shards takes a whole CPU, which the stages may not leave."
OTHER_NAMES = "Of Parquet tables only files are read whose names end in .parquet."

# A process that dies on a row must not be restarted for ever: that row would loop. The restarts
# alone end that. Each call to a process whose node was just lost counts as a try too, and several
# pass before Ray knows of the loss: a limit on them would end the run.
RESTARTS = {"max_restarts": 2, "max_task_retries": -1}

Executor = Any  # Ray Data's StreamingExecutor


@dataclass(frozen=True)
class Operator:
    """What the executor knows of one of its operators."""

    name: str
    rows: int  # that came out
    busy_s: float  # in its processes, over all of them
    running: int  # blocks being worked on
    pools: tuple[tuple[int, int], ...]  # of each: processes at work, and those still to come up
    itself: Any


def watch(
    context: DataContext,
    step: Callable[[Executor], None],
    end: Callable[[Executor], None],
    start_timeout_s: float,
) -> bool:
    """Have `step` called at each step of a run with `context`, hundreds of times a second, and
    `end` when it ends well; whether that is possible. What they raise ends the run.

    Where it is not, Ray ends a run of which a pool is not all up within `start_timeout_s`.
    """
    base = find("ray.data._internal.execution.execution_callback", "ExecutionCallback", FIGURES)
    if base is None:
        context.wait_for_min_actors_s = max(1, round(start_timeout_s))
        return False

    class Callback(base):  # type: ignore[misc, valid-type]
        def on_execution_step(self, executor: Executor) -> None:
            step(executor)

        def after_execution_succeeds(self, executor: Executor) -> None:
            end(executor)

    context.custom_execution_callback_classes = [Callback]
    return True


def operators(executor: Executor) -> Iterator[Operator]:
    """Those of the plan that is run, in order; without those that tell less than all of it."""
    for one in find(executor, "_topology", FIGURES) or ():
        name = find(one, "name", FIGURES)
        rows = find(one, "metrics.rows_task_outputs_generated", FIGURES)
        busy_s = find(one, "metrics.block_generation_time", FIGURES)
        running = find(one, "num_active_tasks", FIGURES)
        pools = find(one, "get_autoscaling_actor_pools", FIGURES)
        if None not in (name, rows, busy_s, running, pools):
            processes = tuple(map(_processes, pools()))
            yield Operator(name, rows, busy_s, running(), processes, one)


def _processes(pool: Any) -> tuple[int, int]:
    up = find(pool, "num_running_actors", FIGURES)
    coming = find(pool, "num_pending_actors", FIGURES)
    return (up() if up else 0, coming() if coming else 0)


def asked(operator: Operator) -> dict[str, float]:
    """What one process of a pool asks for, by Ray's names; memory in bytes."""
    lost = "What a process asked for that did not come up is not said."
    share = find(operator.itself, "min_scheduling_resources", lost)
    if share is None:
        return {}
    one = share()
    custom = find(operator.itself, "_ray_remote_args", lost) or {}
    memory = {"memory": one.memory} if one.memory else {}
    return {"CPU": one.cpu or 0, "GPU": one.gpu or 0, **memory, **(custom.get("resources") or {})}


def let_nothing_in(executor: Executor, last: str) -> bool:
    """Empty what waits for the operator with `last` in its name or for one before it, so that the
    run comes to an end; whether that is possible.

    A shuffle before them has an executor of its own, which is left alone.
    """
    base = "ray.data._internal.execution.operators.base_physical_operator"
    with_queue = find(base, "InternalQueueOperatorMixin", FIGURES)
    topology = find(executor, "_topology", FIGURES)
    if with_queue is None or topology is None:
        return False
    known = list(topology.items())
    ends = [place for place, (one, _) in enumerate(known) if last in one.name]
    for operator, state in known[: ends[-1] + 1] if ends else ():
        queues = find(state, "input_queues", FIGURES)
        finish = find(operator, "mark_execution_finished", FIGURES)
        if queues is None or finish is None:
            return False
        if not operator.input_dependencies:
            finish()
        for queue in queues:
            queue.clear()
        if isinstance(operator, with_queue):
            clear = find(operator, "clear_internal_input_queue", FIGURES)
            if clear is None:
                return False
            clear()
    return True


def in_blocks(data: Dataset, rows: int, whole: int, num_cpus: float) -> Dataset:
    """The same rows, `rows` to a block but for the last, by tasks of `num_cpus`.

    Ray Data has these tasks ask for a whole CPU, and its `repartition` takes no other number. Where
    one CPU is all that the processes leave, such a task would hold it while it waits for the next
    stages to take what it made, and they would wait for the CPU. So the plan's own entry is set.
    Where there is none, the blocks of about `whole` rows are made before any process starts.
    """
    cut = data.repartition(target_num_rows_per_block=rows, strict=True)
    arguments = find(cut, "_logical_plan.dag.ray_remote_args", UNCUT)
    if arguments is None:
        return data.repartition(max(1, -(-whole // rows))).materialize()
    arguments["num_cpus"] = num_cpus
    return cut


def map_in_actors(
    data: Dataset,
    kind: type,
    least: int,
    most: int,
    at_once: int,
    in_flight: int | None,
    **how: Any,
) -> Dataset:
    """`data.map_batches(kind, **how)` in `least` to `most` processes, each with so many calls
    `at_once`, and so many blocks `in_flight` to it; null: Ray Data's own number.
    """
    from ray.data import ActorPoolStrategy
    from ray.util.annotations import RayDeprecationWarning

    pool: dict[str, Any] = {"min_size": least, "max_size": most}
    if "max_concurrent_calls_per_actor" in inspect.signature(ActorPoolStrategy).parameters:
        pool["max_concurrent_calls_per_actor"] = at_once
    else:  # before Ray 2.60
        how["max_concurrency"] = at_once
    compute = ActorPoolStrategy(max_tasks_in_flight_per_actor=in_flight, **pool)
    with warnings.catch_warnings():  # of `restarts`, which no Ray knows another way to say
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return data.map_batches(kind, compute=compute, **restarts(), **how)


def restarts() -> dict[str, int]:
    """Arguments of `map_batches` that limit how often a process starts again.

    Ray deprecates them with all arguments that it does not name, and names no others for this.
    """
    from ray.data import Dataset

    takes = inspect.signature(Dataset.map_batches).parameters.values()
    if any(one.name in RESTARTS or one.kind is one.VAR_KEYWORD for one in takes):
        return RESTARTS
    miss("ray.data.Dataset.map_batches(max_restarts)", FOR_EVER)
    return {}


def change_stages(processor: Processor, kind: Callable[[type], type], **arguments: Any) -> None:
    """The stages of one of `ray.data.llm`'s processors with `kind` of their class, and with more
    arguments of `map_batches`."""
    stages = find(processor, "stages", UNNAMED) or {}
    for name, stage in stages.items():
        before = find(stage, "map_batches_kwargs", UNNAMED)
        ours, copy = find(stage, "fn", UNNAMED), find(stage, "model_copy", UNNAMED)
        if None not in (before, ours, copy):
            changed = {"fn": kind(ours), "map_batches_kwargs": {**before, **arguments}}
            stages[name] = copy(update=changed)


def end_stalls(context: DataContext, timeout_s: float) -> None:
    """Have a run with `context` end in which nothing moves for `timeout_s`: see `is_stall`."""
    if hasattr(context, "execution_no_progress_timeout_s"):
        context.execution_no_progress_timeout_s = timeout_s
    else:
        miss("DataContext.execution_no_progress_timeout_s", STALLS)


def is_stall(error: Exception) -> bool:
    """Whether Ray Data ended a run because nothing moved."""
    from ray.data import exceptions

    return isinstance(error, getattr(exceptions, "ExecutionTimeoutError", ()))


def read_webdataset(paths: list[str], num_cpus: float, **how: Any) -> Dataset:
    """Ray Data's reader of that name, by tasks of `num_cpus` where it takes a number."""
    import ray

    if "num_cpus" in inspect.signature(ray.data.read_webdataset).parameters:
        how["num_cpus"] = num_cpus
    else:  # Ray 2.56 has no such argument
        miss("ray.data.read_webdataset(num_cpus)", WHOLE_CPU)
    return ray.data.read_webdataset(paths, **how)


@contextmanager
def files_of_any_name() -> Iterator[None]:
    """Ray's older reader of Parquet: the newer one takes only files named *.parquet, without a
    word, and starts actors."""
    from ray.data import DataContext

    context = DataContext.get_current()
    before = find(context, "use_datasource_v2", OTHER_NAMES)
    if before is None:
        yield
        return
    context.use_datasource_v2 = False
    try:
        yield
    finally:
        context.use_datasource_v2 = before
