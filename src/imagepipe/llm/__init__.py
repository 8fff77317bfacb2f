"""Language models that enrich a base prompt with the season. One file per engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from imagepipe.stages import engines

if TYPE_CHECKING:
    from imagepipe.config import LLM


__all__ = ["Answer", "Enhancer"]  # what a plug-in may rely on: docs/plugins.md


@dataclass(frozen=True)
class Answer:
    """The answer of a model. Token counts are from the engine; None if it has none.

    `tokens_out` includes the end-of-text token if the answer has one. `error` says why there is no
    answer; the row then fails. `finish_reason` is as in OpenAI's API: stop, length (see
    `llm.max_tokens`) or content_filter; None if unknown. `refusal` and `reasoning` are for models
    that return them separately from the text.
    """

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    reasoning: str | None = None


class Enhancer(Protocol):
    """Constructed on the driver and in each worker; only a worker calls `load` and `enhance`."""

    def load(self) -> None:
        """Read weights into memory. Raises `UserError` if they cannot be used."""

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        """One answer per row, in order. Each depends only on its own prompt, season and seed."""


def recipe(config: LLM) -> Callable[[], Enhancer]:
    """What makes the engine that `config.engine` names, not yet loaded, in any process."""
    return engines.recipe("llm", config, Enhancer)


def make(config: LLM) -> Enhancer:
    """The engine that `config.engine` names, not yet loaded. Raises UserError on other names."""
    return recipe(config)()


def check(config: LLM) -> None:
    """Raise `UserError` if the engine cannot work here: a package, weights or server missing."""
    engine = engines.check("llm", config, Enhancer)
    if engine.weights:
        from imagepipe.llm import kinds
        from imagepipe.stages import weights

        weights.check_safe("llm.path", config.path, config.revision)
        weights.check_code("llm.path", config.path, config.revision)
        kinds.check_whole(config)
