"""What each stage is doing while Ray Data runs: rows out, busy time; and whether it starts at all.

Built on Ray Data's execution callback, which is not public: the lock pins Ray.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imagepipe.errors import RunFailed
from imagepipe.resources.machine import GIB

if TYPE_CHECKING:
    from ray.data._internal.execution.execution_callback import ExecutionCallback

INTERVAL_S = 0.25  # the callback runs at each step of the scheduler, hundreds of times a second


@dataclass(frozen=True)
class StageState:
    """One stage. Times are seconds; `first_s` and `last_s` on `time.monotonic`'s clock."""

    rows: int = 0
    busy_s: float = 0.0  # in its processes, over all of them
    running: int = 0  # blocks being worked on
    up_s: float = 0.0  # its processes, over all of them, until its last rows came out
    first_s: float | None = None  # when its first rows came out
    first_rows: int = 0
    last_s: float | None = None

    def after(self, rows: int, busy_s: float, running: int, up_s: float, now: float) -> StageState:
        """The state once Ray has said how many rows are out."""
        state = replace(self, busy_s=busy_s, running=running)
        if rows == self.rows:
            return state
        if self.first_s is None:
            state = replace(state, first_s=now, first_rows=rows)
        return replace(state, rows=rows, last_s=now, up_s=up_s)

    def anew(self, now: float) -> StageState:
        """The state with its rates measured from `now` on, if it has any."""
        if self.first_s is None:
            return self
        return replace(self, first_s=now, first_rows=self.rows)

    def rows_per_s(self) -> float | None:
        """Between its first rows and its last; null where there was only one moment."""
        if self.first_s is None or self.last_s is None or self.last_s <= self.first_s:
            return None
        return (self.rows - self.first_rows) / (self.last_s - self.first_s)

    def utilisation(self) -> float | None:
        """The share of its processes' time that went into rows; null where it has no processes."""
        return self.busy_s / self.up_s if self.up_s else None


class Watch:
    """The stages by name, kept up to date while a Dataset runs with `callback` in its context.

    A stage's processes come up one after another: its rates are measured once all are there, and
    `complete` says whether those of all stages are. A stage that has no process within
    `start_timeout_s` ends the run with RunFailed, which says what it asked for and what is free:
    Ray would wait for ever.
    """

    def __init__(self, start_timeout_s: float) -> None:
        self.start_timeout_s = start_timeout_s
        self.stages: dict[str, StageState] = {}
        self.stopping = False
        self._up: dict[str, bool] = {}  # of the pools: whether all processes have come up
        self._up_s: dict[str, float] = {}  # of the pools: their processes' time, added up
        self._began: float | None = None
        self._last = -INTERVAL_S  # when it was read

    @property
    def complete(self) -> bool:
        """Whether there are pools, and all their processes have come up. A shuffle, which has an
        executor of its own, has none."""
        return bool(self._up) and all(self._up.values())

    def callback(self) -> type[ExecutionCallback]:
        """A class for Ray's `DataContext.custom_execution_callback_classes`."""
        from ray.data._internal.execution.execution_callback import ExecutionCallback

        watch = self

        class Callback(ExecutionCallback):
            def on_execution_step(self, executor: Any) -> None:
                if watch.stopping:
                    _let_nothing_in(executor)
                if time.monotonic() >= watch._last + INTERVAL_S:
                    watch._read(executor)

            def after_execution_succeeds(self, executor: Any) -> None:
                watch._read(executor)

        return Callback

    def stop(self) -> None:
        """Begin no more pictures; those that the model has begun are scored and written."""
        self.stopping = True

    def _read(self, executor: Any) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = self._last = now
        since, self._last = now - self._last, now
        for operator in executor._topology or {}:
            metrics, pools = operator.metrics, operator.get_autoscaling_actor_pools()
            up_s = self._up_s.get(operator.name, 0.0)
            up_s += since * sum(pool.num_running_actors() for pool in pools)
            self._up_s[operator.name] = up_s
            state = self.stages.get(operator.name, StageState())
            self.stages[operator.name] = state.after(
                metrics.rows_task_outputs_generated,
                metrics.block_generation_time,
                operator.num_active_tasks(),
                up_s,
                now,
            )
            if now - self._began > self.start_timeout_s and _waits(operator):
                raise RunFailed(self._why(operator))
            for pool in pools:
                up = bool(pool.num_running_actors() and not pool.num_pending_actors())
                if up and not self._up.get(operator.name):
                    self.stages[operator.name] = self.stages[operator.name].anew(now)
                self._up[operator.name] = self._up.get(operator.name) or up

    def _why(self, operator: Any) -> str:
        import ray

        share, free = operator.min_scheduling_resources(), ray.available_resources()
        asked = {"CPU": share.cpu or 0, "GPU": share.gpu or 0}
        asked |= {"memory": share.memory} if share.memory else {}
        asked |= operator._ray_remote_args.get("resources") or {}
        return (
            f"{operator.name}: none of its processes came up within ray.start_timeout_s="
            f"{self.start_timeout_s:g} s. One asks for {_listed(asked)}; free now are "
            f"{_listed({name: free.get(name, 0) for name in asked})}. Loading large weights takes "
            "long: raise the limit; where others hold the machine, wait or ask for less "
            "(resources=auto)."
        )


def _listed(amounts: Mapping[str, float]) -> str:
    """Ray's resources for a person: memory comes in bytes."""
    names = {"CPU": "CPUs", "GPU": "GPUs", "memory": "GiB of memory"}
    said = [
        f"{amount / GIB if name == 'memory' else amount:.3g} {names.get(name, name)}"
        for name, amount in amounts.items()
    ]
    return ", ".join(said)


def _waits(operator: Any) -> bool:
    """Whether this is a pool of which no process has come up yet."""
    pools = operator.get_autoscaling_actor_pools()
    return any(not pool.num_running_actors() and pool.num_pending_actors() for pool in pools)


def _let_nothing_in(executor: Any) -> None:
    """Empty what waits for the model or for a stage before it, so that Ray comes to an end.

    A shuffle before them has an executor of its own, which is left alone.
    """
    operators = list((executor._topology or {}).items())
    ends = [place for place, (one, _) in enumerate(operators) if "(model)" in one.name]
    for operator, state in operators[: ends[-1] + 1] if ends else ():
        if not operator.input_dependencies:
            operator.mark_execution_finished()
        for queue in state.input_queues:
            queue.clear()
        if hasattr(operator, "clear_internal_input_queue"):
            operator.clear_internal_input_queue()
