"""What is found in diffusers, and what is done without it."""

from __future__ import annotations

import diffusers
import pytest
from torch import nn

from imagepipe.compat import NONE_FOUND
from imagepipe.compat.diffusers import SchedulerUse, draws_with, lora_parts, scheduler_use


@pytest.fixture
def none_found(monkeypatch):
    monkeypatch.setenv(NONE_FOUND, "1")


@pytest.mark.parametrize(
    ("pipeline", "use"),
    [
        pytest.param(
            "StableDiffusionXLPipeline",
            SchedulerUse(frozenset({"order", "init_noise_sigma", "scale_model_input"})),
            id="sdxl",
        ),
        pytest.param(
            "FluxPipeline",
            SchedulerUse(frozenset({"order"}), "always", "array", leaves_sigmas=True),
            id="flux",
        ),
        pytest.param(
            "StableDiffusion3Pipeline",
            SchedulerUse(frozenset({"order"}), "shifts", leaves_sigmas=False),
            id="sd3",
        ),
    ],
)
def test_what_a_pipeline_does_with_its_scheduler_is_read_from_its_code(pipeline, use):
    assert scheduler_use(getattr(diffusers, pipeline)) == use


def test_without_its_code_nothing_is_said_of_a_pipeline(none_found):
    assert scheduler_use(diffusers.FluxPipeline) is None


def test_loras_are_fused_into_all_parts_that_take_them():
    assert {"transformer", "text_encoder"} <= set(lora_parts(diffusers.FluxPipeline))


def test_without_those_parts_loras_are_not_fused(none_found):
    assert lora_parts(diffusers.FluxPipeline) == []


@pytest.fixture
def part() -> nn.Module:
    """A layer that was set to an attention of its own."""
    from diffusers.models.transformers.transformer_flux import FluxAttnProcessor

    layer = nn.Module()
    layer.processor = FluxAttnProcessor()
    layer.processor._attention_backend = "flash"
    return nn.Sequential(layer)


def test_the_attention_of_a_part_is_known(part):
    assert draws_with(part, "flash")
    assert not draws_with(part, "native")
    assert not draws_with(nn.Sequential(nn.Linear(2, 2)), "flash")


def test_where_attention_is_not_known_nothing_is_refused(part, none_found):
    assert draws_with(part, "native")
