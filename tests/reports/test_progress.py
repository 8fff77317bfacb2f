"""What each stage is doing, read from what Ray Data's executor says of its operators."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from imagepipe.reports.progress import Watch


@dataclass
class Pool:
    """As Ray Data's: processes that work, and those that are still to come up."""

    running: int
    pending: int

    def num_running_actors(self) -> int:
        return self.running

    def num_pending_actors(self) -> int:
        return self.pending


@dataclass
class Operator:
    """As Ray Data's physical operators, as far as they are read."""

    name: str
    pools: list[Pool] = field(default_factory=list)
    rows: int = 0
    busy_s: float = 0.0

    @property
    def metrics(self) -> Any:
        return SimpleNamespace(
            rows_task_outputs_generated=self.rows, block_generation_time=self.busy_s
        )

    def num_active_tasks(self) -> int:
        return 1

    def get_autoscaling_actor_pools(self) -> list[Pool]:
        return self.pools


@pytest.fixture
def at(monkeypatch):
    """Reads the operators at a moment: `at(seconds, watch, operators)`."""

    def read(seconds: float, watch: Watch, *operators: Operator) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: seconds)
        watch.read(SimpleNamespace(_topology=operators))

    return read


def test_rates_are_of_the_time_in_which_all_processes_of_a_stage_are_there(at):
    watch, pool = Watch(start_timeout_s=300), Pool(running=0, pending=2)
    model, write = Operator("model", [pool]), Operator("write")
    at(1.0, watch, model, write)
    pool.running, pool.pending, model.rows, model.busy_s = 1, 1, 10, 2.0
    at(2.0, watch, model, write)
    model.rows, model.busy_s, write.rows = 50, 10.0, 50
    at(10.0, watch, model, write)
    assert not watch.complete
    assert watch.stages["model"].rows_per_s() == 5.0
    pool.running, pool.pending = 2, 0
    at(11.0, watch, model, write)
    assert watch.complete
    assert watch.stages["model"].rows_per_s() is None
    model.rows, model.busy_s, write.rows = 90, 18.0, 90
    at(15.0, watch, model, write)
    assert watch.stages["model"].rows_per_s() == 10.0
    assert watch.stages["write"].rows_per_s() == 8.0  # no pool: since its first rows


def test_processes_are_busy_in_the_time_that_they_are_up_until_their_last_rows(at):
    """One for 20 s and one for 10, of which 15 went into rows."""
    watch, pool = Watch(start_timeout_s=300), Pool(running=0, pending=2)
    model = Operator("model", [pool])
    at(0.0, watch, model)
    assert watch.stages["model"].utilisation() is None
    for now, running, rows in ((10.0, 1, 0), (20.0, 2, 50), (30.0, 2, 50)):
        pool.running, pool.pending, model.rows, model.busy_s = running, 2 - running, rows, 15.0
        at(now, watch, model)
    assert watch.stages["model"].utilisation() == 0.5


def test_processes_that_start_again_restart_no_clock(at):
    watch, pool = Watch(start_timeout_s=300), Pool(running=2, pending=0)
    model = Operator("model", [pool])
    for now, rows, running in ((1.0, 0, 2), (2.0, 10, 2), (3.0, 15, 1), (4.0, 30, 2)):
        pool.running, pool.pending, model.rows = running, 2 - running, rows
        at(now, watch, model)
    assert watch.complete
    assert watch.stages["model"].rows_per_s() == 10.0


def test_without_pools_nothing_is_complete(at):
    watch = Watch(start_timeout_s=300)
    at(1.0, watch, Operator("shuffle"))
    assert not watch.complete
