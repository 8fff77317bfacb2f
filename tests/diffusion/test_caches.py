"""Caches of diffusers: fewer steps are worked out, and a picture stays its row's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.configs import composed
from helpers.tiny_pipelines import FLUX, SD, complaint, painter, small

from imagepipe.errors import UserError
from imagepipe.sink.metadata import model_metadata

Folder = Callable[[str], Path]
TAYLOR = "TaylorSeerCacheConfig"
EVERY_THIRD = {"cache_interval": 3, "disable_cache_before_step": 2}


def test_a_cache_spares_steps_and_a_picture_is_the_same_in_every_batch(trained: Folder):
    plain = small(trained(FLUX), steps=8)
    cached = replace(plain, cache=TAYLOR, cache_config=EVERY_THIRD)
    one = painter(cached)
    calls: list[int] = []
    block = one.pipe.transformer.transformer_blocks[0].attn.to_q
    block.register_forward_hook(lambda *_: calls.append(1))
    several = one.paint(["a cat", "a dog", "a fox"], [1, 2, 3])
    assert 0 < len(calls) < 8
    alone = np.concatenate([one.paint([p], [s]) for p, s in (("a cat", 1), ("a fox", 3))])
    assert np.abs(several[[0, 2]].astype(int) - alone).max() <= 2
    exact = painter(plain).paint(["a cat"], [1])
    assert np.abs(several[0].astype(int) - exact[0]).max() > 0
    assert model_metadata(cached)["cache"] == TAYLOR


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (FLUX, {"cache": "TaylorSerCacheConfig"}, f'Did you mean "{TAYLOR}"?'),
        (
            FLUX,
            {"cache": TAYLOR, "cache_config": {"intervall": 3}},
            'Did you mean "cache_interval"? It has',
        ),
        (SD, {"cache": TAYLOR}, "UNet2DConditionModel has no caches in diffusers"),
        (FLUX, {"cache": "MagCacheConfig"}, "cannot be used with FluxTransformer2DModel so ("),
        (FLUX, {"cache": "MagCacheConfig", "columns": {"steps": "n"}}, "for one number of steps"),
    ],
    ids=["name", "setting", "unet", "ratios", "steps"],
)
def test_what_cannot_be_cached_is_refused(trained: Folder, kind: str, changes, said: str):
    assert said in complaint(small(trained(kind), **changes))


@pytest.mark.parametrize("cache", ["FirstBlockCacheConfig", "SeaCacheConfig"])
def test_what_decides_for_a_batch_has_batches_of_one(cache: str):
    with pytest.raises(UserError, match="a picture would depend on others in its batch"):
        composed(f"model.cache={cache}")
    assert composed(f"model.cache={cache}", "resources.model.batch_size=1").model.cache == cache
    with pytest.raises(UserError, match="has no effect without model.cache"):
        composed("+model.cache_config.threshold=1")
