"""Language models that enrich a base prompt with the season. One file an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from imagepipe.errors import UserError

if TYPE_CHECKING:
    from imagepipe.config import LLM


@dataclass(frozen=True)
class Answer:
    """`text` is stripped; the token counts are the engine's own, 0 where it has no tokens.

    `tokens_out` includes the end-of-text token where the answer reached it.
    """

    text: str
    tokens_in: int
    tokens_out: int


class Enhancer(Protocol):
    """A recipe on the driver; weights only after `load`, in the process that answers."""

    def load(self) -> None:
        """Read weights into memory. Raises `UserError` where they cannot be used."""

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        """An answer a row, in order; each depends on its own prompt, season and seed alone."""


def _template(config: LLM) -> Enhancer:
    from imagepipe.llm.template import TemplateEnhancer

    return TemplateEnhancer()


def _transformers(config: LLM) -> Enhancer:
    from imagepipe.llm.transformers import TransformersEnhancer

    return TransformersEnhancer(config)


ENGINES: dict[str, Callable[[LLM], Enhancer]] = {
    "template": _template,
    "transformers": _transformers,
}


def make(config: LLM) -> Enhancer:
    """The engine that `config.engine` names, not yet loaded. Raises `UserError` on other names."""
    if config.engine not in ENGINES:
        raise UserError(
            field="llm.engine",
            value=config.engine,
            problem="no such engine",
            remedy=f"Use one of {', '.join(ENGINES)}.",
        )
    return ENGINES[config.engine](config)
