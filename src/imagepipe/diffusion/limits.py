"""How long a prompt may be before the text encoder cuts it off."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pkgutil import resolve_name
from typing import Any

from imagepipe.config import Model
from imagepipe.stages import engines

# A tokenizer without a limit says so with a huge number (transformers' VERY_LARGE_INTEGER).
NO_LIMIT = 1_000_000
# Pipelines that put the prompt into their encoder's chat template before it is cut, and how.
CHATS: dict[str, dict[str, Any]] = {
    "Flux2KleinPipeline": {"enable_thinking": False},
    "ZImagePipeline": {"enable_thinking": True},
}
# Pipelines that put an instruction before it, and leave the prompt two tokens less than they say.
TWO_LESS = ("SanaPipeline", "SanaSprintPipeline")


@dataclass(frozen=True)
class Encoder:
    """What one text encoder reads: `places` tokens, of the prompt or of the chat around it."""

    tokenizer: Any
    places: int
    chat: Mapping[str, Any] | None = None

    def cuts(self, prompt: str) -> bool:
        """Whether it has fewer places than tokens come up to the prompt's end."""
        if self.places >= NO_LIMIT:
            return False
        text = prompt if self.chat is None else self._up_to_its_end(prompt)
        return len(self.tokenizer(text, verbose=False).input_ids) > self.places

    def _up_to_its_end(self, prompt: str) -> str:
        chat = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            **(self.chat or {}),
        )
        return chat[: chat.rindex(prompt) + len(prompt)] if prompt in chat else chat


class PromptLimit:
    """Tells whether a prompt fits a model's text encoders; with none of them, every prompt does.

    Where there are several (CLIP beside T5 in FLUX and SD 3), the prompt is cut when even the one
    that reads most loses its end: the others give a summary or a refinement of the same text.
    """

    def __init__(self, encoders: Iterable[Encoder] = ()) -> None:
        self.encoders = list(encoders)

    def cuts(self, prompt: str) -> bool:
        """Whether no encoder reads the end of `prompt`."""
        return bool(self.encoders) and all(encoder.cuts(prompt) for encoder in self.encoders)


def of(model: Model, pipeline: Any, components: Mapping[str, Any]) -> PromptLimit:
    """The limit of a diffusers pipeline class with the tokenizers among `components`.

    A tokenizer that fills its encoder's positions has a limit of its own (CLIP: 77 tokens); other
    pipelines cut at `max_sequence_length`, whichever is less.
    """
    if model.prompt_syntax is not None:
        return PromptLimit()
    takes = inspect.signature(pipeline.__call__).parameters if pipeline else {}
    kind = getattr(pipeline, "__name__", "")
    places = NO_LIMIT
    if "max_sequence_length" in takes:
        places = model.max_sequence_length or takes["max_sequence_length"].default
    chat = CHATS.get(kind)
    encoders = []
    for name, tokenizer in sorted(components.items()):
        if name.startswith("tokenizer") and tokenizer is not None:
            own = min(places, tokenizer.model_max_length)
            if kind in TWO_LESS:
                own += tokenizer.num_special_tokens_to_add() - 2
            encoders.append(Encoder(tokenizer, own, chat))
    return PromptLimit(encoders)


def fill_positions(components: Mapping[str, Any], configs: Mapping[str, Any]) -> None:
    """Give each tokenizer that knows no limit the positions of its text encoder.

    Pipelines fill prompts up to the tokenizer's limit, which makers may leave to the encoder's
    `max_position_embeddings`; transformers then says `VERY_LARGE_INTEGER`.
    """
    for name, tokenizer in components.items():
        encoder = configs.get(name.replace("tokenizer", "text_encoder"), {})
        positions = encoder.get("max_position_embeddings")
        if tokenizer is None or not name.startswith("tokenizer"):
            continue
        if tokenizer.model_max_length >= NO_LIMIT and isinstance(positions, int):
            tokenizer.model_max_length = positions


def recipe(model: Model) -> Callable[[], PromptLimit]:
    """A factory for the limit of `model`, in any process; an engine that does not read prompts
    has none.
    """
    named = engines.of("model", model).prompt_limit
    return partial(resolve_name(named), model) if named else PromptLimit


def load(model: Model) -> PromptLimit:
    """The limit of `model`, of any engine."""
    return recipe(model)()


def of_repository(model: Model) -> PromptLimit:
    """The limit of a model of diffusers, from its tokenizers alone: no weights are read."""
    import diffusers

    from imagepipe.diffusion import random_weights, repository

    described = repository.describe(model)
    folder = described.folder
    tokenizers = {
        name: random_weights.tokenizer(folder / name if folder else None, class_name)
        for name, (_, class_name) in described.parts.items()
        if name.startswith("tokenizer")
    }
    fill_positions(tokenizers, described.configs)
    # Null for a pipeline that brings its own code, which is not read here.
    return of(model, getattr(diffusers, str(described.index["_class_name"]), None), tokenizers)
