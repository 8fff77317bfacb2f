"""Whether a drawing process has enough memory for its weights and one picture, before it loads
them.

A batch that does not fit is halved by the process itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from imagepipe.config import Config, Model, Resources
from imagepipe.errors import UserError, figure
from imagepipe.execution import health
from imagepipe.resources.machine import GIB, Machine
from imagepipe.stages import engines

LESS = "Draw smaller pictures, set model.vae_tiling=true, or take a smaller model."


@dataclass(frozen=True)
class Needs:
    """The GB (1e9 bytes) that a drawing process needs: for its weights, and for one picture of
    `size` while it is decoded; null if that is unknown or small.
    """

    weights: float
    picture: float | None
    size: str

    @property
    def gb(self) -> float:
        return self.weights + (self.picture or 0)

    @property
    def told(self) -> str:
        """As text."""
        said = f"the weights take {figure(self.weights)} GB"
        if not self.picture:
            return said
        return f"{said}, and to decode one picture of {self.size} about {figure(self.picture, 2)}"


def needs(model: Model, *, gpu: bool) -> Needs | None:
    """What a process that draws with `model` needs, on a GPU or not; null if the files do not
    show it, or the engine has no weights.
    """
    where = engines.of("model", model).memory
    weights: Any = resolve_name(f"{where}:weights_gb")(model, gpu) if where else None
    if weights is None:
        return None
    picture: Any = resolve_name(f"{where}:picture_gb")(model, gpu)
    return Needs(weights, picture, f"{model.width}x{model.height}")


def check(
    config: Config, shares: Resources, machine: Machine, gpu_bytes: int | None = None
) -> None:
    """Raise UserError if the share of the model's processes is too small, naming the smallest.

    `gpu_bytes` are those of each GPU, null: of this machine's. Nothing is said of a model whose
    parts wait elsewhere (`model.offload`), nor where a driver or the files do not tell.
    """
    model, share = config.model, shares.model
    found = None if model.offload != "none" else needs(model, gpu=share.num_gpus > 0)
    if found is None:
        return
    key, whole = shares.key("model"), found.gb * 1e9
    if share.num_gpus:
        card = health.gpu_memory() if gpu_bytes is None else gpu_bytes
        spreads = engines.of("model", model).spreads
        _check_gpus(key, share.num_gpus, card / 1e9, found, spreads=spreads)
    elif share.memory_gb and whole > share.memory_gb * GIB:
        raise UserError(
            field=f"{key}.memory_gb",
            value=share.memory_gb,
            problem=f"is too little: {found.told}",
            remedy=f"Try {key}.memory_gb={math.ceil(10 * whole / GIB) / 10:g}.",
        )
    elif 0 < (most := max(node.memory for node in machine.nodes)) < whole:
        raise UserError(
            field="model.path",
            value=model.path,
            problem=f"{found.told}; processes have {figure(most / 1e9)} GB here",
            remedy=f"{LESS[:-1]}, or use a larger machine.",
        )


def _check_gpus(key: str, share: float, whole: float, found: Needs, *, spreads: bool) -> None:
    if not whole or found.gb <= share * whole:
        return
    least = math.ceil(100 * found.gb / whole) / 100
    if least > 1:
        least = math.ceil(least)
    able = least <= 1 or spreads
    raise UserError(
        field=f"{key}.num_gpus",
        value=f"{share:g}",
        problem=f"is {figure(share * whole)} GB of {figure(whole)}: {found.told}",
        remedy=f"Try {key}.num_gpus={least:g}, or more." if able else LESS,
    )
