"""Whether a process that draws has the memory that its weights and one picture need, before it
loads them. A batch that does not fit is halved by the process itself.
"""

from __future__ import annotations

import math
from pkgutil import resolve_name
from typing import Any

from imagepipe.config import Config, Resources
from imagepipe.errors import UserError
from imagepipe.execution import health
from imagepipe.resources import useful
from imagepipe.resources.machine import GIB, Machine
from imagepipe.stages import engines

LESS = "Draw smaller pictures, set model.vae_tiling=true, or take a smaller model."


def check(
    config: Config, shares: Resources, machine: Machine, gpu_bytes: int | None = None
) -> None:
    """Raise UserError where the share of the model's processes is too small, naming the smallest.

    `gpu_bytes` are those of each GPU, null: of this machine's. Nothing is said of a model whose
    parts wait elsewhere (`model.offload`), nor where a driver or the files do not tell.
    """
    model, engine = config.model, engines.of("model", config.model)
    if engine.memory is None or model.offload != "none":
        return
    weights = useful.weights_gb(model, engine, machine)
    if weights is None:
        return
    share = shares.model
    picture: Any = resolve_name(f"{engine.memory}:picture_gb")(model, share.num_gpus > 0)
    needs = weights + (picture or 0)
    told = f"the weights take {weights:.3g} GB"
    if picture:
        told += f", and to decode one picture of {model.width}x{model.height} about {picture:.2g}"
    key = shares.key("model")
    if share.num_gpus:
        whole = (health.gpu_memory() if gpu_bytes is None else gpu_bytes) / 1e9
        _check_gpus(key, share.num_gpus, whole, needs, told, spreads=engine.spreads)
    elif share.memory_gb and needs * 1e9 > share.memory_gb * GIB:
        raise UserError(
            field=f"{key}.memory_gb",
            value=share.memory_gb,
            problem=f"is too little: {told}",
            remedy=f"Try {key}.memory_gb={math.ceil(10 * needs * 1e9 / GIB) / 10:g}.",
        )
    elif 0 < (most := max(node.memory for node in machine.nodes)) < needs * 1e9:
        raise UserError(
            field="model.path",
            value=model.path,
            problem=f"{told}; processes have {most / 1e9:.3g} GB here",
            remedy=f"{LESS[:-1]}, or use a larger machine.",
        )


def _check_gpus(
    key: str, share: float, whole: float, needs: float, told: str, *, spreads: bool
) -> None:
    if not whole or needs <= share * whole:
        return
    least = math.ceil(100 * needs / whole) / 100
    if least > 1:
        least = math.ceil(least)
    able = least <= 1 or spreads
    raise UserError(
        field=f"{key}.num_gpus",
        value=f"{share:g}",
        problem=f"is {share * whole:.3g} GB of {whole:.3g}: {told}",
        remedy=f"Try {key}.num_gpus={least:g}, or more." if able else LESS,
    )
