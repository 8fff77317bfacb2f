"""A pool has as many processes as can do something, and a process as many GPUs as it uses."""

from __future__ import annotations

import json

import pytest
from helpers.configs import composed

from imagepipe.errors import UserError
from imagepipe.resources.machine import GIB, Machine, Node
from imagepipe.resources.shares import resolve

LAPTOP = Machine((Node(2, 0, 8 * GIB),))


@pytest.mark.parametrize(
    ("machine", "typed", "said"),
    [
        (LAPTOP, ["resources.model.pool=50"], "of 2 here. Try resources.model.pool=2."),
        (LAPTOP, ["resources.scorer.pool=3"], "of 2 here. Try resources.scorer.pool=2."),
        (
            LAPTOP,
            ["resources.llm.pool=4", "resources.model.pool=5"],
            "Try resources.llm.pool=2 resources.model.pool=2.",
        ),
    ],
    ids=["model", "scorer", "both"],
)
def test_what_could_do_nothing_is_refused(machine: Machine, typed: list[str], said: str):
    with pytest.raises(UserError) as refused:
        resolve(composed(*typed), machine, 1000)
    assert said in str(refused.value)


def test_processes_have_room_for_their_weights(tmp_path):
    (tmp_path / "unet").mkdir()
    index = {"_class_name": "X", "unet": ["diffusers", "UNet2DConditionModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with open(tmp_path / "unet" / "weights.safetensors", "wb") as file:
        size = 3 * 10**9  # takes no room on the disk
        one = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
        header = json.dumps({"a": one}).encode()
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    large = [f"model.path={tmp_path}", "llm=none", "scorer=none"]
    machine = Machine((Node(8, 0, 7 * 10**9),))
    shares, why = resolve(composed(*large), machine, 1000)
    assert shares.model.pool == 2
    assert why.splitlines()[1] == (
        "model: 2 of 8; the weights of each process need 3 GB, of 7 here"
    )
    with pytest.raises(UserError, match=r"need 3 GB, of 7 here\. Try resources\.model\.pool=2\."):
        resolve(composed(*large, "resources.model.pool=4"), machine, 1000)


def test_processes_that_wait_for_a_server_need_no_thread():
    openai = ["llm=openai", "llm.base_url=http://host/v1", "llm.path=m", "llm.api_key_env=KEY"]
    mine = ["llm.engine=custom", "+llm._target_=mine.Enhancer", "resources.llm.pool=6"]
    resolve(composed(*openai), LAPTOP, 1000)
    resolve(composed(*mine), LAPTOP, 1000)
