"""Diffusion models. One file per engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Protocol

import numpy as np

from imagepipe.config import Model
from imagepipe.config.models import SEED
from imagepipe.diffusion import rows
from imagepipe.errors import UserError
from imagepipe.stages import engines

__all__ = ["ImageGenerator", "Painted", "Painter"]  # what a plug-in may rely on: docs/plugins.md


@dataclass(frozen=True)
class Painted:
    """Pictures, uint8 (n, height, width, 3), of which some failed: `reasons` says why for each of
    these, and is None for the others. Only the rows of failed pictures fail.
    """

    images: np.ndarray
    reasons: list[str | None]


class ImageGenerator(Protocol):
    """Constructed on the driver and in each worker; only a worker calls `load` and `paint`."""

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def paint(
        self,
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model] | None = None,
        pictures: list[Mapping[str, np.ndarray]] | None = None,
    ) -> np.ndarray | Painted:
        """One picture per prompt: uint8 (n, height, width, 3), an array that you do not change
        later; or a `Painted`, if single pictures can fail.

        `drawn` are the settings for each picture, if rows have their own (`model.columns`). Within
        a call they differ only in texts such as the negative prompt. An engine without this
        argument supports no settings from columns.

        `pictures` are the input pictures for each, if `model.columns` names any: {image: uint8
        (height, width, 3)}, in the output size. An engine without this argument supports none.

        Picture i depends only on `prompts[i]`, `seeds[i]`, `drawn[i]` and `pictures[i]`, not on
        other rows. Return a black picture for one that came out as NaN.
        """
        ...

    def is_cut(self, prompt: str) -> bool:
        """Whether the text encoder would cut the end of `prompt` off."""
        ...

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the model does not know; empty if its vocabulary is open."""
        ...


Painter = ImageGenerator  # its earlier name, for plug-ins that import it


def recipe(model: Model) -> Callable[[], ImageGenerator]:
    """A factory for the engine that `model.engine` names, which works in any process; nothing is
    loaded yet.
    """
    return engines.recipe("model", model, ImageGenerator)


def make(model: Model) -> ImageGenerator:
    """The engine that `model.engine` names, not yet loaded. Raises UserError on other names."""
    return recipe(model)()


def painted(pictures: np.ndarray | Painted) -> Painted:
    """The result of an engine's `paint` as a `Painted`."""
    if isinstance(pictures, Painted):
        return pictures
    return Painted(np.asarray(pictures), [None] * len(pictures))


def unsent(model: Model) -> list[str]:
    """The settings that a server does not get: seed, steps, guidance, ... None for an unknown
    engine, which a refused job may name.
    """
    known = line.unsent if (line := engines.TABLE["model"].get(model.engine)) else None
    return list(resolve_name(known)(model)) if known else []


def seed_note(model: Model) -> str | None:
    """A note on the seeds of pictures that a server draws; null: they are drawn here."""
    if not engines.of("model", model).waits:
        return None
    if "seed" in unsent(model):
        return "a server draws that is told no seed: drawn again, each picture is another"
    return "a server draws, and need not draw the same picture again from its seed"


def trial_note(model: Model) -> str | None:
    """A note on what `check` requests from a server, if that may be a picture; null: nothing."""
    if not engines.of("model", model).unsent:
        return None
    asked = "the server draws one picture first, to try what this run asks of it"
    charged = model.api_key_env is not None
    return f"where it does not list {model.path}, {asked}" if charged else asked


def check(model: Model) -> None:
    """Raise UserError if the model is unavailable, or cannot draw with the settings."""
    rows.check(model)
    engine = engines.check("model", model, ImageGenerator)
    if not engine.is_custom:
        return
    takes = inspect.signature(make(model).paint).parameters
    any_number = {one.kind for one in takes.values()}
    settings = model.columns.keys() - {SEED} - model.pictures.keys()
    if settings and len(takes) < 3 and inspect.Parameter.VAR_POSITIONAL not in any_number:
        raise _refused(model, settings, "settings of a row", "a third argument")
    if (
        model.pictures
        and "pictures" not in takes
        and inspect.Parameter.VAR_KEYWORD not in any_number
    ):
        raise _refused(model, model.pictures, "pictures", "an argument `pictures`")


def _refused(model: Model, keys: Collection[str], what: str, argument: str) -> UserError:
    return UserError(
        field="model.columns",
        value=", ".join(sorted(keys)),
        problem=f"the method paint of {model._target_} takes no {what}",
        remedy=f"Give it {argument}: see imagepipe.diffusion.ImageGenerator.",
    )
