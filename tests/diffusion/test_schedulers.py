"""What a scheduler takes and then cannot draw with is told before the run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers.tiny_pipelines import FLUX, PIXART, QWEN, SD, SDXL

from imagepipe.config import Model
from imagepipe.diffusion import schedulers
from imagepipe.diffusion.repository import ARCHITECTURES, Description
from imagepipe.errors import UserError

PNDM = ["diffusers", "PNDMScheduler"]


def check(name: str, own: dict[str, Any], kind: list[str] | None = None, **asked: Any) -> None:
    """As a run does, of the architecture `name` whose scheduler came with the settings `own`."""
    configs = json.loads((ARCHITECTURES / f"{name.replace('/', '--')}.json").read_text("utf-8"))
    configs["scheduler"] = configs["scheduler"] | own
    if kind:
        configs["model_index"]["scheduler"] = kind
    model = Model("m", "diffusers", "a/b", **{"steps": 4, **asked})
    schedulers.check(model, Description(configs, None))


@pytest.mark.parametrize(
    "name",
    [
        one.stem.replace("--", "/")
        for one in sorted(ARCHITECTURES.glob("*.json"))
        if not one.stem.startswith("diffusers--controlnet")
    ],
)
def test_each_model_draws_with_its_own(name: str) -> None:
    check(name, {}, steps=20)


@pytest.mark.parametrize(
    ("name", "own", "said"),
    [
        pytest.param(SD, {"timestep_spacing": "nope"}, "nope is not supported", id="spacing"),
        pytest.param(SD, {"prediction_type": "x"}, "prediction_type given as x", id="prediction"),
        pytest.param(SD, {"beta_schedule": "x"}, "x is not implemented", id="betas"),
        pytest.param(PIXART, {"solver_type": "x"}, "x is not implemented", id="solver"),
        pytest.param(PIXART, {"final_sigmas_type": "x"}, "got x", id="final-sigmas"),
        pytest.param(FLUX, {"time_shift_type": "x"}, "must either be", id="shift"),
        pytest.param(
            FLUX, {"use_karras_sigmas": True, "use_beta_sigmas": True}, "Only one of", id="two"
        ),
    ],
)
def test_settings_that_came_with_the_model_are_the_models_fault(
    name: str, own: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        check(name, own)
    assert caught.value.field == "model.path"
    assert "its scheduler_config.json cannot be used (" in str(caught.value)
    assert said in str(caught.value)
    with pytest.raises(UserError) as caught:
        check(name, own, scheduler_config={"num_train_timesteps": 1000})
    assert caught.value.field == "model.path"


@pytest.mark.parametrize(
    ("name", "kind", "steps", "scheduler", "can"),
    [
        pytest.param(SDXL, PNDM, 1, None, 4, id="too-few"),
        pytest.param(SDXL, None, 1, PNDM[1], 4, id="asked"),
        pytest.param(QWEN, None, 1, None, 4, id="shift-of-nothing"),
        pytest.param(SDXL, None, 1001, "DDIMScheduler", 100, id="too-many"),
        pytest.param(SDXL, None, 60, "LCMScheduler", 20, id="distilled"),
    ],
)
def test_steps_that_a_scheduler_cannot_make(
    name: str, kind: list[str] | None, steps: int, scheduler: str | None, can: int
) -> None:
    with pytest.raises(UserError) as caught:
        check(name, {}, kind, steps=steps, scheduler=scheduler)
    assert caught.value.field == "model.steps"
    assert "Scheduler cannot draw in that number (" in str(caught.value)
    assert str(caught.value).endswith(f"It can in {can}.")


def test_a_scheduler_whose_steps_give_no_numbers() -> None:
    with pytest.raises(UserError) as caught:
        check(SD, {}, scheduler="LCMScheduler", scheduler_config={"rescale_betas_zero_snr": True})
    assert str(caught.value).startswith(
        "model.scheduler=LCMScheduler: cannot draw with this model (its steps give numbers that "
    )
