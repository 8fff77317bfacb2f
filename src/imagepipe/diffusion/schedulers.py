"""Checks before a run: does the scheduler suit the model, and does it accept its settings?"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np

from imagepipe.compat.diffusers import SchedulerUse, scheduler_use
from imagepipe.config import Model
from imagepipe.diffusion import options, random_weights, repository
from imagepipe.diffusion.diffusers import arguments
from imagepipe.diffusion.refusals import refused
from imagepipe.errors import UserError, did_you_mean, one_line

STEPS = "num_inference_steps"  # what a pipeline's call takes them as
USUAL = (4, 20, 100)  # what is tried where a scheduler cannot draw in so many steps as are asked
MOST = 4000  # of its steps that are tried: a second or two
TRAINED = 1000  # steps, where a scheduler's settings do not say of how many a model has learnt
FLOWS = ("FlowMatch", "FlowMap", "LTXEulerAncestralRF")  # schedulers, by how their names begin


def check_name(name: str) -> None:
    """Raises UserError for a name that is no scheduler of diffusers."""
    import diffusers

    known = [kind for kind in dir(diffusers) if kind.endswith("Scheduler")]
    if name not in known:
        raise refused(
            "scheduler",
            name,
            "is not a scheduler of diffusers",
            did_you_mean(name, known)
            or "For example EulerDiscreteScheduler or DPMSolverMultistepScheduler.",
        )


def check(model: Model, described: repository.Description) -> None:
    """Raises UserError if the scheduler, its settings or the steps of `model` cannot draw.

    Otherwise what the scheduler accepts but cannot step with would fail every row.
    """
    import diffusers

    if "scheduler" not in described.configs:
        if is_changed(model):
            raise _refused(model, "this model has no scheduler that could be changed")
        return
    name, config = described.parts["scheduler"][1], described.configs["scheduler"]
    own = getattr(diffusers, name, None)
    if own is None:
        return  # its code comes with the model, and is not read here
    kind = own if model.scheduler is None else getattr(diffusers, model.scheduler)
    if is_changed(model):
        _check_noise(model, own, kind, config)
    repository.quiet()
    _check_trial(model, described, own, kind)


def _check_trial(model: Model, described: repository.Description, own: Any, kind: Any) -> None:
    """It must make all steps; the model's `own` tells whose fault it is where it does not."""
    config = described.configs["scheduler"]
    pipeline = random_weights.pipeline_class(described.index, model) if described.is_known else None
    use = SchedulerUse() if pipeline is None else scheduler_use(pipeline)
    if use is None:
        return
    takes = {} if pipeline is None else inspect.signature(pipeline.__call__).parameters
    told = arguments([model], takes)
    trial = partial(try_out, use=use, told=told)
    trouble = trial(kind, config, model.scheduler_config)
    if trouble is None:
        return
    for steps in sorted(USUAL, key=lambda number: abs(number - model.steps)):
        if trial(kind, config, model.scheduler_config, told=told | {STEPS: steps}) is None:
            problem = f"{kind.__name__} cannot draw in that number ({trouble})"
            raise refused("steps", model.steps, problem, f"It can in {steps}.")
    # A trial that the model's own does not pass says nothing about another.
    own_trouble = trial(own, config, {}) if is_changed(model) else trouble
    if own_trouble is None:
        raise _refused(model, f"cannot draw with this model ({trouble})")
    # Nor one that its class does not pass with its defaults about what came with the model.
    if trial(own, {}, {}) is None:
        broken = f"its scheduler_config.json cannot be used ({own_trouble})"
        raise refused("path", model.path, broken, "Correct it, or fetch the model again.")


def is_changed(model: Model) -> bool:
    """Whether `model` sets another scheduler, or other settings of its own one."""
    return bool(model.scheduler is not None or model.scheduler_config)


def is_usual(model: Model, described: repository.Description) -> bool:
    """Whether it is the model's own, and makes no more steps than the model was trained with."""
    learnt = described.configs.get("scheduler", {}).get("num_train_timesteps", TRAINED)
    return not is_changed(model) and model.steps <= learnt


def _refused(model: Model, problem: str, remedy: str = "Leave it out.") -> UserError:
    if model.scheduler is None:
        return refused("scheduler_config", model.scheduler_config, problem, remedy)
    return refused("scheduler", model.scheduler, problem, remedy)


def _check_noise(model: Model, own: type, chosen: type, config: dict[str, Any]) -> None:
    """It must add noise as the model's `own` with the settings `config` does: else rows draw noise.

    SCM is SANA-Sprint's alone.
    """
    apart = own is not chosen and "SCMScheduler" in (own.__name__, chosen.__name__)
    if apart or _flows(own, config) != _flows(chosen, config | model.scheduler_config):
        remedy = "Leave it out."
        if _can_flow(chosen):
            remedy = (
                "For a model of flow matching set both use_flow_sigmas=true and "
                "prediction_type=flow_prediction in model.scheduler_config, for others neither."
            )
        raise _refused(model, f"cannot be used with a model made for {own.__name__}", remedy)


def _flows(kind: type, config: dict[str, Any]) -> set[bool]:
    """Whether such a scheduler is one of flow matching: both, where its settings contradict."""
    if kind.__name__.startswith(FLOWS) or not _can_flow(kind):
        return {kind.__name__.startswith(FLOWS)}
    predicts_flow = config.get("prediction_type") == "flow_prediction"
    return {bool(config.get("use_flow_sigmas")), predicts_flow}


def _can_flow(kind: Any) -> bool:
    return "use_flow_sigmas" in inspect.signature(kind.__init__).parameters


def try_out(
    kind: Any,
    config: dict[str, Any],
    settings: dict[str, Any],
    *,
    told: dict[str, Any],
    use: SchedulerUse,
) -> str | None:
    """Why such a scheduler cannot draw: found with numbers in place of pictures, and no model.

    `told` is what the pipeline is called with, `use` what it does with its scheduler.
    """
    import torch

    try:
        made = options.scheduler(kind, config, settings)
        both, last = (_steps(made, told, use, seeds) for seeds in ([1, 2], [2]))
    except UserError:
        raise
    except Exception as error:  # of any kind: what is wrong shows deep in the scheduler
        return one_line(error)
    if not torch.isfinite(both).all():
        return "its steps give numbers that are none, which would be drawn black"
    return None if torch.allclose(both[1:], last) else "its noise does not depend on the seed alone"


def _steps(scheduler: Any, told: dict[str, Any], use: SchedulerUse, seeds: list[int]) -> Any:
    """What all steps make of a row a seed, as the pipeline takes them."""
    import torch

    for name in use.reads:
        getattr(scheduler, name)
    scheduler.set_timesteps(**_schedule(scheduler, told, use))
    rows, takes = torch.zeros(len(seeds), 4, 2, 2), inspect.signature(scheduler.step).parameters
    noise = {"generator": [torch.Generator().manual_seed(seed) for seed in seeds]}
    given = noise if "generator" in takes else {}
    times = scheduler.timesteps[:-1] if use.leaves_last else scheduler.timesteps
    for time in times[:MOST]:
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(rows, time)  # else some warn
        rows = scheduler.step(torch.zeros_like(rows), time, rows, return_dict=False, **given)[0]
    return rows


def _schedule(scheduler: Any, told: dict[str, Any], use: SchedulerUse) -> dict[str, Any]:
    """What the pipeline gives `set_timesteps`."""
    known = inspect.signature(scheduler.set_timesteps).parameters
    given = {name: value for name, value in told.items() if name in known}
    shifts = scheduler.config.get("use_dynamic_shifting")
    if use.gives_mu == "always" or (use.gives_mu and shifts):
        given["mu"] = 1.0
    if use.sigmas and not (use.leaves_sigmas and scheduler.config.get("use_flow_sigmas")):
        sigmas = np.linspace(1, 1 / told[STEPS], told[STEPS])
        given["sigmas"] = sigmas if use.sigmas == "array" else sigmas.tolist()
        given.pop(STEPS, None)
    return given
