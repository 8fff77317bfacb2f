"""The words that a model with a closed vocabulary knows: `words.txt` beside its weights."""

from __future__ import annotations

import re
from pathlib import Path

from imagepipe.config import Model
from imagepipe.diffusion import inversions, origin
from imagepipe.stages import weights

FILE = "words.txt"
WORD = re.compile(r"[^\W\d_]+")


def of(model: Model) -> frozenset[str] | None:
    """The words that a model was trained on, and those of its textual inversions; null if its
    vocabulary is open. Raises UserError if the file is no text.
    """
    file = Path(weights.locate(origin.described_by(model)[1])) / FILE
    if not file.is_file():
        return None
    with weights.readable("model.path", model.path, file):
        words = " ".join([file.read_text("utf-8"), *inversions.words(model)])
    return frozenset(WORD.findall(words.lower()))


def unknown(known: frozenset[str] | None, prompt: str) -> list[str]:
    """Words of `prompt`, each once, that are not `known`; none where that is null."""
    words = dict.fromkeys(WORD.findall(prompt.lower()))
    return [] if known is None else [word for word in words if word not in known]
