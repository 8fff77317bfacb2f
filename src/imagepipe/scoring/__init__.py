"""Models that judge pictures. One file an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.stages import engines, weights


class ImageScorer(Protocol):
    """A recipe on the driver; weights only after `load`, in the process that scores."""

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        """float32 (n,), higher is better: picture i, uint8 (n, height, width, 3), for prompt i."""
        ...


def _clip(scorer: Scorer) -> ImageScorer:
    from imagepipe.scoring.clip import ClipScorer

    return ClipScorer(scorer.path or "", scorer.revision, scorer.processor, scorer.dtype)


def _aesthetic(scorer: Scorer) -> ImageScorer:
    from imagepipe.scoring.aesthetic import AestheticScorer

    return AestheticScorer(scorer)


ENGINES: dict[str, Callable[[Scorer], ImageScorer]] = {
    "clip": _clip,
    "aesthetic": _aesthetic,
}


WITH_WEIGHTS = ("clip", "aesthetic")
PROCESSORS = ("processor_config.json", "preprocessor_config.json")  # new, old


def check(scorer: Scorer) -> None:
    """On the driver, before anything starts. Raises UserError where the model is not to be had."""
    if scorer.engine == "custom":
        make(scorer)
    if scorer.engine not in WITH_WEIGHTS:
        return
    weights.check_safe("scorer.path", scorer.path, scorer.revision)
    _check_kind(scorer)
    weights.check_fit("scorer.path", scorer.path, scorer.revision, partial(_model_class, scorer))
    looks = weights.locate(scorer.processor or scorer.path or "")
    if isinstance(looks, Path):
        _check_processor(scorer, looks)
    elif scorer.processor is not None:
        weights.check("scorer.processor", scorer.processor, None, "config.json")


def _check_kind(scorer: Scorer) -> None:
    where = weights.here(scorer.path or "", scorer.revision)
    if where is None:
        return
    kind = weights.described("scorer.path", scorer.path, where / "config.json").get("model_type")
    if not str(kind or "clip").startswith("clip"):
        raise UserError(
            field="scorer.path",
            value=scorer.path,
            problem=f"its config.json says {kind}, and scorer.engine={scorer.engine} takes a CLIP",
            remedy="Name a CLIP, or write a scorer of your own for it (scorer.engine=custom).",
        )


def _model_class(scorer: Scorer) -> Any:
    if scorer.engine == "aesthetic":
        from imagepipe.scoring.aesthetic import predictor_class

        return predictor_class()
    from transformers import CLIPModel

    return CLIPModel


def _check_processor(scorer: Scorer, folder: Path) -> None:
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise UserError(
            field="scorer.processor",
            value=scorer.processor,
            problem=f"{folder} holds no processor (neither {' nor '.join(PROCESSORS)})",
            remedy="Name a folder that holds one, or a model of the hub as owner/name.",
        )


def make(scorer: Scorer) -> ImageScorer:
    """The engine that `scorer.engine` names, not yet loaded. Raises UserError on other names."""
    return engines.make("scorer", scorer, ENGINES, ImageScorer)
