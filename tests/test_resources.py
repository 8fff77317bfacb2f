"""Shares are chosen to fit the machine, and refused where they do not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from test_config import composed

from imagepipe.errors import UserError
from imagepipe.resources import Machine, Node, pools, settle, this_machine

LAPTOP = Machine((Node(2, 0),))
WAITING = ("openai", "llm")  # waits for a server, and needs no share


def refusal(*overrides: str, machine: Machine = LAPTOP) -> str:
    with pytest.raises(UserError) as caught:
        settle(composed(*overrides), machine, 100)
    return str(caught.value)


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 16, 64])
@pytest.mark.parametrize("gpus", [0, 1, 4])
@pytest.mark.parametrize("llm", ["none", "template", "tiny", "tiny_vllm", "openai"])
@pytest.mark.parametrize("rows", [1, 100, 1_000_000])
def test_auto_fits_every_machine(cpus: int, gpus: int, llm: str, rows: int):
    config = composed(f"llm={llm}")
    shares, said = settle(config, Machine((Node(cpus, gpus),)), rows)
    actors = dict(pools(config, shares))
    assert sum(share.num_cpus * share.pool for share in actors.values()) < cpus
    assert sum(share.num_gpus * share.pool for share in actors.values()) <= gpus
    assert all(share.pool >= 1 for share in actors.values())
    assert all(share.num_cpus > 0 for name, share in actors.items() if (llm, name) != WAITING)
    assert shares.rows_per_block % shares.model.batch_size == 0
    assert f"chosen for {cpus} CPUs, {gpus} GPUs" in said


def test_auto_starts_no_process_without_a_batch_of_rows():
    shares, _ = settle(composed("llm=none"), Machine((Node(64, 0),)), rows=17)
    assert shares.model.pool == 3  # batches of 8


def test_large_runs_travel_in_larger_blocks_but_never_one_block_an_actor():
    sizes = [settle(composed(), LAPTOP, rows)[0].rows_per_block for rows in (10, 2000, 10**6)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 16
    assert sizes[-1] == 1024


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["resources=cpu", "resources.model.num_cpus=3"], "resources.model.num_cpus=3.0: no mach"),
        (["resources=gpu_shared"], "resources.llm.num_gpus=0.6: no machine here has that many"),
        (["resources=cpu", "resources.model.pool=9"], "only 1 of 2 are free. Try resources.llm"),
    ],
)
def test_what_the_machine_does_not_have_is_refused(overrides: list[str], said: str):
    assert said in refusal(*overrides)


def test_the_setting_that_a_refusal_names_works():
    said = refusal("resources=cpu", "resources.model.pool=9")
    named = said.split("Try ")[1].split(", smaller pools")[0].split(", ")
    settle(composed("resources=cpu", "resources.model.pool=9", *named), LAPTOP, 100)


def test_a_share_cannot_straddle_two_gpus():
    two = Machine((Node(16, 2),))
    fits = ["resources=gpu_shared", "resources.model.pool=2", "resources.llm.pool=2"]
    settle(composed(*fits), two, 100)
    assert "a share cannot straddle two" in refusal(
        "resources=gpu_shared", "llm=none", "resources.model.pool=5", machine=two
    )
    assert "Ray gives a part of one GPU, or whole ones" in refusal(
        "resources=gpu_shared", "llm=none", "resources.model.num_gpus=1.5", machine=two
    )


def test_this_machine_counts_what_the_process_may_use(monkeypatch):
    options = composed().ray
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert this_machine(options).gpus == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert this_machine(options).gpus == 0
    assert this_machine(composed("ray.num_cpus=7").ray).cpus == 7


def test_a_process_is_held_to_its_threads():
    code = (
        "from imagepipe.resources import bind; from imagepipe.config import Share\n"
        "bind(Share(num_cpus=0.3)); import torch; print(torch.get_num_threads())\n"
        "bind(Share(num_cpus=2)); print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "2"]
