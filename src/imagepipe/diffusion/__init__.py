"""Diffusion models. One file an engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Protocol

import numpy as np

from imagepipe.config import Model
from imagepipe.diffusion import rows
from imagepipe.errors import UserError
from imagepipe.stages import engines

__all__ = ["ImageGenerator", "Painter"]  # what a plug-in may rely on: docs/plugins.md


class ImageGenerator(Protocol):
    """A recipe on the driver; weights only after `load`, in the process that draws."""

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def paint(
        self, prompts: list[str], seeds: list[int], drawn: list[Model] | None = None
    ) -> np.ndarray:
        """One picture a prompt: uint8 (n, height, width, 3), an array that is not changed later.

        `drawn` are the settings that each is drawn with, where rows have some of their own
        (`model.columns`): alike but for texts such as the negative prompt. An engine that leaves
        the argument out takes no rows with settings.

        Picture i depends on `prompts[i]`, `seeds[i]` and `drawn[i]` alone, not on its neighbours.
        A picture that came out as NaN is returned black.
        """
        ...

    def is_cut(self, prompt: str) -> bool:
        """Whether the text encoder's limit cuts the end of `prompt` off."""
        ...

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the model has never seen; empty where its vocabulary is open."""
        ...


Painter = ImageGenerator  # as it was called before, for plug-ins that import it so


def recipe(model: Model) -> Callable[[], ImageGenerator]:
    """What makes the engine that `model.engine` names, not yet loaded, in any process."""
    return engines.recipe("model", model, ImageGenerator)


def make(model: Model) -> ImageGenerator:
    """The engine that `model.engine` names, not yet loaded. Raises UserError on other names."""
    return recipe(model)()


def check(model: Model) -> None:
    """Raise UserError where the model is unavailable, or cannot draw as it is asked to."""
    rows.check(model)
    engine = engines.check("model", model, ImageGenerator)
    if engine.is_custom and model.columns.keys() - {rows.SEED}:
        takes = inspect.signature(make(model).paint).parameters
        if len(takes) < 3 and not any(one.kind is one.VAR_POSITIONAL for one in takes.values()):
            raise UserError(
                field="model.columns",
                value=", ".join(model.columns),
                problem=f"{model._target_} takes no settings of a row",
                remedy="Give its paint a third argument: see imagepipe.diffusion.ImageGenerator.",
            )
