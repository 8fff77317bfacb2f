"""A model over several GPUs: what is placed, and what is refused."""

from __future__ import annotations

import pytest
from helpers.configs import composed

from imagepipe import resources
from imagepipe.config import Share
from imagepipe.diffusion.options import device_map
from imagepipe.errors import UserError
from imagepipe.resources.machine import Machine, Node
from imagepipe.resources.packing import pack
from imagepipe.resources.process import bind, whole_gpus

BARE = ("llm=none", "scorer=none", "resources=cpu", "resources.model.pool=1")
FOUR = Machine((Node(16, 4, 64 << 30),))


def test_a_process_gets_whole_gpus_of_one_node():
    config = composed(*BARE, "resources.model.num_gpus=2", "resources.model.pool=2")
    shares, _ = resources.resolve(config, FOUR, 100)
    placed = pack(dict(resources.pools(config, shares)), FOUR)
    assert [one.gpus for one in placed] == [(0, 1), (2, 3)]


@pytest.mark.parametrize(
    ("gpus", "machine", "said"),
    [
        pytest.param("1.5", FOUR, "whole ones", id="part"),
        pytest.param("8", FOUR, "no machine here has 8 GPUs", id="many"),
        pytest.param("4", Machine((Node(8, 2), Node(8, 2))), "no machine here has 4", id="nodes"),
        pytest.param("2", Machine((Node(8, 0),)), "no machine here has 2 GPUs", id="cpu"),
    ],
)
def test_what_no_node_can_give_is_refused(gpus: str, machine: Machine, said: str):
    with pytest.raises(UserError, match=said) as caught:
        resources.resolve(composed(*BARE, f"resources.model.num_gpus={gpus}"), machine, 100)
    assert caught.value.field == "resources.model.num_gpus"


@pytest.mark.parametrize(
    "option", ["model.offload=model", "model.weights=random", "model.compile=inductor"]
)
def test_an_option_that_does_not_go_with_it_is_refused(option: str):
    with pytest.raises(
        UserError, match="cannot be combined with resources.model.num_gpus=2"
    ) as caught:
        composed(*BARE, "resources.model.num_gpus=2", option)
    assert caught.value.field == option.partition("=")[0]
    composed(*BARE, "resources.model.num_gpus=1", option)


def test_an_engine_of_one_gpu_is_refused_more():
    config = composed("scorer=none", "resources=cpu", "resources.llm.num_gpus=2")
    with pytest.raises(UserError, match="each process uses one GPU"):
        resources.resolve(config, FOUR, 100)


@pytest.mark.parametrize(("gpus", "placed"), [(0, None), (0.5, None), (1, None), (2, "balanced")])
def test_diffusers_places_the_parts_where_a_process_has_several(
    gpus: float, placed: str | None, monkeypatch: pytest.MonkeyPatch
):
    for name in ("IMAGEPIPE_WHOLE_GPUS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
    if gpus == 0.5:
        monkeypatch.setenv("IMAGEPIPE_WHOLE_GPUS", "0")  # a part of one needs CUDA to be bound
    else:
        bind(Share(num_cpus=1, num_gpus=gpus))
    assert device_map(whole_gpus()) == placed
