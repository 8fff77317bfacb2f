"""Private names of diffusers, and facts that only its source code holds."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from imagepipe.compat import find, find_source

SCHEDULER_USED = re.compile(r"self\.scheduler\.(order|init_noise_sigma|scale_model_input)\b")


@dataclass(frozen=True)
class SchedulerUse:
    """What a pipeline's code does with its scheduler."""

    reads: frozenset[str] = frozenset()  # attributes
    gives_mu: str = ""  # to the schedule: "always", or to one that "shifts" it
    sigmas: str = ""  # of its own: an "array", or a "list"
    leaves_sigmas: bool = False  # to a scheduler of flow matching with `use_flow_sigmas`
    leaves_last: bool = False  # of its timesteps


def scheduler_use(pipeline: type) -> SchedulerUse | None:
    """Read from the code of `pipeline`, which nothing else says; null if there is none to read.

    The sigmas of FLUX are an array, those of Z-Image a list.
    """
    lost = "A scheduler that cannot draw with a model is noticed when it draws, not before."
    code = find_source(pipeline, lost)
    if code is None:
        return None
    takes = inspect.signature(pipeline.__call__).parameters
    own = re.search(r"\bsigmas = (?!None)", code)
    return SchedulerUse(
        reads=frozenset(SCHEDULER_USED.findall(code)),
        gives_mu="" if "mu = " not in code else "shifts" if "mu" in takes else "always",
        sigmas="" if not own else "array" if "np.linspace" in code else "list",
        leaves_sigmas="use_flow_sigmas" in code,
        leaves_last="timesteps = timesteps[:-1]" in code,
    )


def lora_parts(pipe: Any) -> list[str]:
    """The parts of a pipeline that LoRAs may be fused into, a text encoder among them."""
    lost = "LoRAs are computed beside the weights at every step: slower."
    return list(find(pipe, "_lora_loadable_modules", lost) or [])


def draws_with(part: Any, backend: str) -> bool:
    """Whether a layer of `part` was set to the attention `backend`; true where nobody can tell."""
    lost = "A model that offers no choice of attention is not refused: it draws as it always does."
    # A processor that offers the choice has the name from its class on, and null is its default.
    processor = "diffusers.models.transformers.transformer_flux:FluxAttnProcessor"
    if find(processor, "_attention_backend.__class__", lost) is None:
        return True
    processors = (getattr(module, "processor", None) for module in part.modules())
    return any(getattr(one, "_attention_backend", None) == backend for one in processors)
