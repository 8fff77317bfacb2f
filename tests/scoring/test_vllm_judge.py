"""A judge in vLLM: with vLLM installed the real engine on the CPU."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers import tiny_vlm

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.scoring import SCORER_ERROR, check, make

ASKED = Scorer("mine", "vllm_vlm", questions={"shows": "does this picture show {base_prompt} ?"})


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_it_is_refused_with_the_way_to_get_it() -> None:
    said = r"scorer\.engine=vllm_vlm: vLLM is not installed.*make vllm.*scorer\.engine=vlm\."
    with pytest.raises(UserError, match=said):
        check(replace(ASKED, path="asset:tiny_clip"))


@pytest.mark.vllm
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm")
def test_it_is_as_sure_as_in_transformers(tmp_path: Path) -> None:
    asked = replace(ASKED, path=str(tiny_vlm.save(tmp_path)))
    check(asked)
    images = np.random.default_rng(5).integers(0, 256, (3, 32, 32, 3), np.uint8)
    rows = pa.table({"base_prompt": ["a cat", "a red dog", None]})
    found = []
    for engine in ("vlm", "vllm_vlm"):
        judge = make(replace(asked, engine=engine))
        judge.load()
        found.append(judge.judge(images, rows))
    here, other = found
    assert other["shows"][:2] == pytest.approx(here["shows"][:2], abs=2e-3)
    assert here["shows"][0] != pytest.approx(here["shows"][1], abs=1e-2)
    assert (other["shows"][2], other[SCORER_ERROR]) == (None, here[SCORER_ERROR])
