"""Models that judge pictures. One file an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from imagepipe import engines, weights
from imagepipe.config import Scorer


class Judge(Protocol):
    """A recipe on the driver; weights only after `load`, in the process that scores."""

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        """float32 (n,), higher is better: picture i, uint8 (n, height, width, 3), for prompt i."""
        ...


def _clip(scorer: Scorer) -> Judge:
    from imagepipe.scoring.clip import ClipJudge

    return ClipJudge(scorer.path or "", scorer.revision, scorer.processor, scorer.dtype)


def _aesthetic(scorer: Scorer) -> Judge:
    from imagepipe.scoring.aesthetic import AestheticJudge

    return AestheticJudge(scorer)


ENGINES: dict[str, Callable[[Scorer], Judge]] = {
    "clip": _clip,
    "aesthetic": _aesthetic,
}


WITH_WEIGHTS = ("clip", "aesthetic")


def check(scorer: Scorer) -> None:
    """On the driver, before anything starts. Raises UserError where the model is not to be had."""
    if scorer.engine == "custom":
        make(scorer)
    if scorer.engine not in WITH_WEIGHTS:
        return
    weights.check_safe("scorer.path", scorer.path, scorer.revision)
    if scorer.processor is not None:
        weights.check("scorer.processor", scorer.processor, None, "config.json")


def make(scorer: Scorer) -> Judge:
    """The engine that `scorer.engine` names, not yet loaded. Raises UserError on other names."""
    return engines.make("scorer", scorer, ENGINES, Judge)
