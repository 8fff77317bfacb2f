"""Ray Data's executor, watched or not, and its releases."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
from ray.data import DataContext

from imagepipe.compat import NONE_FOUND, ray_data
from imagepipe.reports.progress import Watch


@pytest.fixture
def context() -> DataContext:
    return copy.copy(DataContext.get_current())


def test_an_executor_is_watched_at_each_step(context):
    seen = []
    assert ray_data.watch(context, seen.append, seen.append, 300)
    (callback,) = context.custom_execution_callback_classes
    callback().on_execution_step("step")
    callback().after_execution_succeeds("end")
    assert seen == ["step", "end"]
    assert context.wait_for_min_actors_s < 0  # Ray's "not at all"


def test_an_executor_that_cannot_be_watched_has_ray_wait_and_ctrl_c_stop_at_once(
    context, monkeypatch
):
    monkeypatch.setenv(NONE_FOUND, "1")
    watch = Watch(start_timeout_s=0.1)
    watch.follow(context)
    assert context.custom_execution_callback_classes == []
    assert context.wait_for_min_actors_s == 1
    with pytest.raises(KeyboardInterrupt):
        watch.stop()


def test_an_executor_of_another_shape_has_no_figures_and_is_stopped_at_once(context):
    watch = Watch(start_timeout_s=300)
    watch.follow(context)
    (callback,) = context.custom_execution_callback_classes
    strange = SimpleNamespace(name="an executor of a later release")
    callback().on_execution_step(strange)
    assert watch.stages == {}
    watch.stop()  # it is asked to, and cannot
    with pytest.raises(KeyboardInterrupt):
        callback().on_execution_step(strange)


def test_operators_that_tell_less_than_all_are_left_out():
    whole = SimpleNamespace(
        name="model",
        metrics=SimpleNamespace(rows_task_outputs_generated=3, block_generation_time=0.5),
        num_active_tasks=lambda: 1,
        get_autoscaling_actor_pools=list,
    )
    less = SimpleNamespace(name="write", metrics=SimpleNamespace())
    executor = SimpleNamespace(_topology=[whole, less])
    found = [(one.name, one.rows, one.busy_s) for one in ray_data.operators(executor)]
    assert found == [("model", 3, 0.5)]


@pytest.mark.parametrize(
    ("takes", "given"),
    [
        pytest.param("fn, **options", ray_data.RESTARTS, id="any"),
        pytest.param("fn, max_restarts, max_task_retries", ray_data.RESTARTS, id="named"),
        pytest.param("fn, resources", {}, id="none"),
    ],
)
def test_restarts_are_limited_where_ray_takes_a_limit(takes, given, monkeypatch):
    scope: dict = {}
    exec(f"def map_batches({takes}): ...", scope)
    monkeypatch.setattr("ray.data.Dataset.map_batches", scope["map_batches"])
    assert ray_data.restarts() == given
