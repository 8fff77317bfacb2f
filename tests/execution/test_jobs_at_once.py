"""Jobs at once, and a run that keeps to some nodes of a cluster."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
from helpers.configs import composed
from hydra import compose, initialize_config_dir
from ray.data import ExecutionOptions

from imagepipe.cli.checks import config_dir
from imagepipe.cli.multirun import check_at_once
from imagepipe.config import registration
from imagepipe.errors import RunFailed, UserError
from imagepipe.execution.beside import pickled
from imagepipe.execution.nodes import kept_to_nodes


def test_its_tasks_and_processes_carry_the_label_of_its_nodes():
    before = ExecutionOptions()
    kept = kept_to_nodes(before, ["a1", "b2"])
    assert kept.label_selector == {"ray.io/node-id": "in(a1,b2)"}
    assert before.label_selector != kept.label_selector


def test_a_release_of_ray_that_cannot_is_refused():
    with pytest.raises(UserError, match=r"^ray\.nodes=a1: this release of Ray cannot hold a run"):
        kept_to_nodes(SimpleNamespace(), ["a1"])


def test_nodes_of_no_cluster_are_refused():
    with pytest.raises(UserError, match=r"^ray\.nodes=a1: is for clusters, but ray\.address"):
        composed("ray.nodes=[a1]")
    assert composed("ray.nodes=[a1]", "ray=cluster").ray.nodes == ["a1"]


def test_a_search_by_optuna_runs_its_jobs_one_after_another():
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        typed = ["hydra/sweeper=optuna", "sweep.jobs_at_once=2"]
        whole = compose("config", typed, return_hydra_config=True)
    with pytest.raises(UserError) as caught:
        check_at_once(whole, whole)
    assert "optuna chooses one job after another" in str(caught.value)
    assert str(caught.value).endswith("Leave it out, or use Hydra's own sweeper.")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "true"])
def test_jobs_at_once_is_a_number_or_auto(value: str):
    with pytest.raises(
        UserError, match=r"^sweep\.jobs_at_once=.*neither a number of jobs nor auto"
    ):
        composed(f"sweep.jobs_at_once={value}")
    assert composed("sweep.jobs_at_once=auto").sweep.jobs_at_once == "auto"
    assert composed("sweep.jobs_at_once=3").sweep.jobs_at_once == 3


class Refused(Exception):
    """As clients of servers have them: it needs more than its text."""

    def __init__(self, text: str, *, status: int) -> None:
        super().__init__(f"{text} ({status})")


def test_what_ended_a_job_comes_back_whatever_its_class():
    of_ours = UserError(field="model", value="x", problem="is none", remedy="Name one.")
    errors = [
        of_ours,
        RunFailed("broke"),
        OSError(28, "disk full"),
        Refused("no", status=403),
        None,
    ]
    back = [pickle.loads(pickled(error)) for error in errors]
    assert [type(one) for one in back] == [UserError, RunFailed, OSError, RunFailed, type(None)]
    assert [str(one) for one in back[:3]] == [str(one) for one in errors[:3]]
    assert str(back[3]) == "no (403)"
