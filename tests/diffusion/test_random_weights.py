"""Architectures without their weights: what is only looked at, and what is measured."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_pipelines import FLUX, SD, small

from imagepipe.diffusion import random_weights


def tensors(device: str, dtype: torch.dtype, model: str) -> dict[str, tuple]:
    pipe = random_weights.pipeline(small(model, weights="random"), device, dtype)
    parts = {name: part for name, part in pipe.components.items() if hasattr(part, "state_dict")}
    return {
        f"{name}.{key}": (one.shape, one.dtype, one.requires_grad)
        for name, part in parts.items()
        for key, one in part.state_dict().items()
    }


@pytest.mark.parametrize("hub_id", [SD, FLUX], ids=["sd", "flux"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["full", "half"])
def test_without_values_all_is_as_with_values(hub_id: str, dtype: torch.dtype, untrained):
    """A tied matrix counts once, too: what is compared with files of weights has to be whole."""
    found = tensors("meta", dtype, untrained(hub_id))
    assert found == tensors("cpu", dtype, untrained(hub_id))
    assert dtype in {one[1] for one in found.values()}
