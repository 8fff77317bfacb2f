"""What a machine or a folder lacks for a run, each with the line that a person reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.configs import composed
from helpers.refusals import refusal

from imagepipe.config import Sweep
from imagepipe.execution import nodes, place, preflight, prepare, rescore, reuse
from imagepipe.sources.pictures import Existing
from imagepipe.store import Store


def test_a_release_of_ray_that_keeps_to_no_nodes():
    assert refusal(nodes.kept_to_nodes, object(), ["a", "b"]) == (
        "ray.nodes=a,b: this release of Ray cannot hold a run to some of a cluster's nodes. "
        "Install Ray 2.60, here and on the cluster, or leave it out; "
        "sweep.jobs_at_once needs it there."
    )


def test_a_folder_that_ray_cannot_use(tmp_path: Path):
    long = str(tmp_path / ("long" * 40))
    said = refusal(preflight.temp_folder, {"RAY_TMPDIR": long})
    assert said.startswith("RAY_TMPDIR=")
    assert said.endswith(
        ", so that Ray could not start: its sockets and logs lie there. "
        "Name another folder, with a short path and room: RAY_TMPDIR=FOLDER"
    )


def test_a_machine_that_allows_few_processes():
    preflight.check_processes(2, None)
    preflight.check_processes(2, 10**6)
    said = refusal(preflight.check_processes, 2, 7)
    assert said == (
        "ulimit -u=7: is the number of processes and threads that may still be started; Ray needs "
        "350 on 2 CPUs. Raise it (ulimit -u, a container's --pids-limit), end other programs, or "
        "use fewer CPUs: ray.num_cpus=1"
    )


def test_a_machine_that_does_not_reach_itself():
    said = refusal(preflight.check_address, "192.0.2.1")  # of no machine: RFC 5737
    assert said.startswith("network=192.0.2.1: this machine does not reach itself there (")
    assert said.endswith("Bring it up: ip link set lo up. Or run where there is one")


def test_jobs_of_a_sweep_are_not_pushed():
    config = composed("sink.hub=me/cats")
    assert refusal(prepare.check_hub, config, 8, 8, object()) == (
        "sink.hub=me/cats: is one data set, and each job of a sweep would overwrite the one "
        "before. Push the job that you choose at the end: resume=ITS_FOLDER sink.hub=user/name."
    )


def test_nothing_to_score_by():
    assert refusal(rescore.score, composed("scorer=none"), "here", Path("out"), Existing("")) == (
        "scorer=none: nothing would be scored. Choose one, or a list: scorer=clip"
    )


def test_a_folder_without_work_to_take_over(tmp_path: Path):
    assert refusal(reuse.check, Sweep(reuse=[str(tmp_path)])) == (
        f"sweep.reuse={tmp_path}: holds no run whose work could be reused. "
        "Name the folder of a run or of a sweep; auto, true or false; or a list of folders."
    )


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"table/part-0.parquet": ""}, "a table"),
        (
            {place.MADE: '{"of": {"path": "b", "prompt": null, "image": "i"}}'},
            "the scores of b --image=i",
        ),
    ],
    ids=["table", "scores"],
)
def test_others_are_in_the_place(tmp_path: Path, files: dict[str, str], what: str):
    store = Store(str(tmp_path))
    for name, text in files.items():
        store.write(name, text.encode())
    assert refusal(place.make, store, Existing("a")) == (
        f"--out={tmp_path}: already holds {what}. Name another folder."
    )
