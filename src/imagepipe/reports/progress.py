"""What each stage is doing while Ray Data runs: rows, busy time, and whether it starts at all.

If Ray Data's executor cannot be watched, there are no figures.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imagepipe.compat import ray_data
from imagepipe.errors import RunFailed, figure
from imagepipe.resources.machine import GIB

if TYPE_CHECKING:
    from ray.data import DataContext

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
        """The state after Ray has reported the rows."""
        state = replace(self, busy_s=busy_s, running=running)
        if rows == self.rows:
            return state
        if self.first_s is None:
            state = replace(state, first_s=now, first_rows=rows)
        return replace(state, rows=rows, last_s=now, up_s=up_s)

    def measured_from(self, now: float) -> StageState:
        """The state with its rates measured from `now` on, if it has any."""
        if self.first_s is None:
            return self
        return replace(self, first_s=now, first_rows=self.rows)

    def rows_per_s(self) -> float | None:
        """Between its first rows and its last; null if there was only one moment."""
        if self.first_s is None or self.last_s is None or self.last_s <= self.first_s:
            return None
        return (self.rows - self.first_rows) / (self.last_s - self.first_s)

    def utilisation(self) -> float | None:
        """The share of its processes' time that went into rows; null if it has no processes."""
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
        self._follows = True  # and can let nothing in

    @property
    def complete(self) -> bool:
        """Whether there are pools, and all their processes have come up. A shuffle, which has an
        executor of its own, has none."""
        return bool(self._up) and all(self._up.values())

    def follow(self, context: DataContext) -> None:
        """Watch the runs with `context`."""
        step, end, timeout_s = self._step, self.read, self.start_timeout_s
        self._follows = ray_data.watch(context, step, end, timeout_s)

    def stop(self) -> None:
        """Start no more pictures; those that the model has started are scored and written.
        Raises KeyboardInterrupt if that is not possible.
        """
        self.stopping = True
        if not self._follows:
            raise KeyboardInterrupt

    def _step(self, executor: Any) -> None:
        if self.stopping and self._follows:
            self._follows = ray_data.let_nothing_in(executor, "(model)")
            if not self._follows:
                os.kill(os.getpid(), signal.SIGINT)  # the second: this is another thread
        if time.monotonic() >= self._last + INTERVAL_S:
            self.read(executor)

    def read(self, executor: Any) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = self._last = now
        since, self._last = now - self._last, now
        for operator in ray_data.operators(executor):
            name, pools = operator.name, operator.pools
            up_s = self._up_s.get(name, 0.0) + since * sum(up for up, _ in pools)
            self._up_s[name] = up_s
            state = self.stages.get(name, StageState())
            self.stages[name] = state.after(
                operator.rows, operator.busy_s, operator.running, up_s, now
            )
            waits = any(coming and not up for up, coming in pools)
            if waits and now - self._began > self.start_timeout_s:
                raise RunFailed(self._why(operator))
            for up, coming in pools:
                whole = bool(up and not coming)
                if whole and not self._up.get(name):
                    self.stages[name] = self.stages[name].measured_from(now)
                self._up[name] = self._up.get(name) or whole

    def _why(self, operator: ray_data.Operator) -> str:
        import ray

        asked, free = ray_data.asked(operator), ray.available_resources()
        return (
            f"{operator.name}: none of its processes started within ray.start_timeout_s="
            f"{self.start_timeout_s:g} s. One asks for {_listed(asked)}; free now are "
            f"{_listed({name: free.get(name, 0) for name in asked})}. Loading large weights takes "
            "long: raise the limit; where others hold the machine, wait or ask for less "
            "(resources=auto)."
        )


def _listed(amounts: Mapping[str, float]) -> str:
    """Ray's resources as text: memory comes in bytes."""
    names = {"CPU": "CPUs", "GPU": "GPUs", "memory": "GiB of memory"}
    said = [
        f"{figure(amount / GIB if name == 'memory' else amount)} {names.get(name, name)}"
        for name, amount in amounts.items()
    ]
    return ", ".join(said)
