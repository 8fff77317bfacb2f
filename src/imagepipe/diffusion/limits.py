"""How long a prompt may be before a model's text encoders cut its end off."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imagepipe import weights
from imagepipe.config import Model

# A tokenizer without a limit says so with a huge number (transformers' VERY_LARGE_INTEGER).
NO_LIMIT = 1_000_000


class PromptLimit:
    """Tells whether a prompt fits a model's tokenizers; with none of them, every prompt does."""

    def __init__(self, tokenizers: Iterable[Any] = ()) -> None:
        self.tokenizers = list(tokenizers)

    def cuts(self, prompt: str) -> bool:
        """Whether any tokenizer has fewer places than `prompt` has tokens."""
        return any(
            tokenizer.model_max_length < NO_LIMIT
            and len(tokenizer(prompt, verbose=False).input_ids) > tokenizer.model_max_length
            for tokenizer in self.tokenizers
        )


def load(model: Model) -> PromptLimit:
    """The limit of `model`, from its tokenizers alone: no weights are read.

    An engine without a text encoder (`noop`) has no limit.
    """
    if model.engine != "diffusers":
        return PromptLimit()
    from transformers import AutoTokenizer

    where = str(weights.locate(model.path or ""))
    index = json.loads(_file(where, model.revision, "model_index.json").read_text("utf-8"))
    names = sorted(name for name in index if name.startswith("tokenizer") and index[name][0])
    return PromptLimit(
        [AutoTokenizer.from_pretrained(where, subfolder=n, revision=model.revision) for n in names]
    )


def _file(where: str, revision: str | None, name: str) -> Path:
    local = Path(where) / name
    if local.is_file():
        return local
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(where, name, revision=revision))
