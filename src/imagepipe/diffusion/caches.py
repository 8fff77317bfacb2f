"""Caches of diffusers: the denoiser reuses results of earlier steps."""

from __future__ import annotations

import inspect
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion.refusals import refused
from imagepipe.errors import did_you_mean, one_line

ENDS = "CacheConfig"
STEPS = "num_inference_steps"  # which a cache that goes by shares of the steps has to know


def add(part: Any, model: Model) -> None:
    """Give the denoiser `part` the cache that `model.cache` names.

    Raises UserError if diffusers has no such cache, or not for this denoiser, or if the settings
    are not the cache's.
    """
    name = str(model.cache)
    kind = _known(name)
    if not hasattr(part, "enable_cache"):
        told = f"{type(part).__name__} has no caches in diffusers"
        raise refused("cache", name, told, "Leave it out.")
    takes = inspect.signature(kind).parameters
    for key, value in model.cache_config.items():
        if key not in takes:
            guess = did_you_mean(key, takes)
            told = f"{name} has no such setting"
            raise refused(f"cache_config.{key}", value, told, f"{guess}It has: {', '.join(takes)}.")
    told_steps = {STEPS: model.steps} if STEPS in takes else {}
    if told_steps and "steps" in model.columns:
        told = f"{name} is made for one number of steps, and each row has its own"
        raise refused("cache", name, told, "Leave one of the two out.")
    try:
        part.enable_cache(kind(**{**told_steps, **model.cache_config}))
    except (TypeError, ValueError, KeyError) as error:
        told = f"cannot be used with {type(part).__name__} so ({one_line(error)})"
        raise refused("cache", name, told, "Set model.cache_config, or leave it out.") from error


def _known(name: str) -> Any:
    import diffusers

    known = [one for one in dir(diffusers) if one.endswith(ENDS)]
    if name not in known:
        told = "is not a cache of diffusers"
        guess = did_you_mean(name, known)
        raise refused("cache", name, told, f"{guess}Choose one of: {', '.join(known)}.")
    return getattr(diffusers, name)
