"""Language models that enrich a base prompt with the season. One file an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from imagepipe.errors import UserError
from imagepipe.stages import engines

if TYPE_CHECKING:
    from imagepipe.config import LLM


@dataclass(frozen=True)
class Answer:
    """`text` is stripped; the token counts are the engine's own, null where it tells none.

    `tokens_out` includes the end-of-text token where the answer reached it. `error` says why
    there is no answer; the row then fails.
    """

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    error: str | None = None


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


def _openai(config: LLM) -> Enhancer:
    from imagepipe.llm.openai import OpenAIEnhancer

    return OpenAIEnhancer(config)


# The vllm engine is none of these: a processor of Ray Data's does its work, see `stage.py`.
ENGINES: dict[str, Callable[[LLM], Enhancer]] = {
    "template": _template,
    "transformers": _transformers,
    "openai": _openai,
}
WITH_WEIGHTS = ("transformers", "vllm")


def make(config: LLM) -> Enhancer:
    """The engine that `config.engine` names, not yet loaded. Raises UserError on other names."""
    return engines.make("llm", config, ENGINES, Enhancer)


def check(config: LLM) -> None:
    """Raise `UserError` where the engine cannot work here: a package, weights or server missing."""
    if config.engine == "vllm" and not find_spec("vllm"):
        raise UserError(
            field="llm.engine",
            value="vllm",
            problem="vLLM is not installed here",
            remedy="On Linux with a GPU: make vllm, or pip install 'imagepipe[vllm]'. "
            "Or use llm.engine=transformers.",
        )
    if config.engine in WITH_WEIGHTS:
        from imagepipe.stages import weights

        weights.check_safe("llm.path", config.path, config.revision)
        weights.check_code("llm.path", config.path, config.revision)
    if config.engine == "custom":
        make(config)
    if config.engine == "openai":
        from imagepipe.llm import openai

        openai.check(config)
