"""Models that score pictures. One file per engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from imagepipe.config import Config, Scorer, said_by
from imagepipe.errors import UserError
from imagepipe.stages import engines, weights
from imagepipe.stages.stage import Columns

__all__ = ["ImageScorer", "Judge"]  # what a plug-in may rely on: docs/plugins.md

SCORER_ERROR = "scorer_error"  # the column that says why a value is missing


class ImageScorer(Protocol):
    """Constructed on the driver and in each worker; only a worker calls `load` and `score`.

    It may have `limits`, (low, high), which no score exceeds; intervals are then kept within them.
    """

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        """float32 (n,), higher is better: picture i, uint8 (n, height, width, 3), for prompt i."""
        ...


class RowScorer(Protocol):
    """Like ImageScorer, with several results per picture, from more columns than the prompt.

    `reads` are the columns that it gets, `adds` its results: a score if the column is float32,
    otherwise a text.
    """

    reads: tuple[str, ...]
    adds: pa.Schema

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def judge(self, images: np.ndarray, rows: pa.Table) -> Columns:
        """The columns of `adds`, one value per picture (null: none), and `scorer_error`, which says
        why a value is missing. Picture i of uint8 (n, height, width, 3) belongs to row i.
        """
        ...


Judge = ImageScorer  # its earlier name, for plug-ins that import it


def recipe(scorer: Scorer) -> Callable[[], Any]:
    """A factory for the engine that `scorer.engine` names, which works in any process; nothing
    is loaded yet.
    """
    return engines.recipe("scorer", scorer, _protocol(scorer))


def _protocol(scorer: Scorer) -> type:
    return RowScorer if engines.of("scorer", scorer).by_row else ImageScorer


def make(scorer: Scorer) -> Any:
    """The engine that `scorer.engine` names, not yet loaded. Raises UserError on other names."""
    return recipe(scorer)()


def check(scorer: Scorer, one_of: int = 1) -> None:
    """On the driver, before anything starts. Raises UserError if the model is unavailable.

    It names a key of this one where it is `one_of` several.
    """
    try:
        _check(scorer)
    except UserError as error:
        if one_of > 1 and error.field.startswith("scorer."):
            key = error.field.replace("scorer.", f"scorer.{scorer.name}.", 1)
            raise UserError(
                field=key, value=error.value, problem=error.problem, remedy=error.remedy
            ) from error
        raise


def _check(scorer: Scorer) -> None:
    if engines.of("scorer", scorer).weights:
        weights.check_safe("scorer.path", scorer.path, scorer.revision)
    engines.check("scorer", scorer, _protocol(scorer))
    _limits(scorer)


def limits(config: Config) -> dict[str, list[float | None]]:
    """The limits of each score, [low, high] by name, if its scorer has some; null: no limit on
    that side.
    """
    every = (
        (said_by(one, stage), _limits(one))
        for stage, one in config.sections.items()
        if one.section == "scorer"
    )
    return {
        score.name: [end if math.isfinite(end) else None for end in known]
        for scores, known in every
        for score in scores
        if known and not score.is_text
    }


def _limits(scorer: Scorer) -> tuple[float, float] | None:
    """The limits of the engine's class. Raises UserError if they are not two numbers."""
    said = getattr(make(scorer), "limits", None)
    if said is None:
        return None
    try:
        low, high = map(float, said)
        if low < high:
            return low, high
    except (TypeError, ValueError):
        pass
    raise UserError(
        field="scorer._target_",
        value=scorer._target_,
        problem=f"its scores cannot lie between limits = {said!r}",
        remedy="Give two numbers, the lower one first, such as limits = (0, 1); or none.",
    )
