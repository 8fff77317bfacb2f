"""Rules instead of a model: the base prompt, then two elements of the season."""

from __future__ import annotations

from imagepipe.config import LLM
from imagepipe.llm import Answer
from imagepipe.prompts.seasons import enhance


class TemplateEnhancer:
    """Needs no weights and no time; also what the tiny language model learned to imitate."""

    def __init__(self, config: LLM) -> None:
        """There is nothing to choose."""

    def load(self) -> None:
        """Nothing to read."""

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        rows = zip(prompts, seasons, seeds, strict=True)
        return [Answer(worded(prompt, season, seed), 0, 0) for prompt, season, seed in rows]


def worded(prompt: str, season: str, seed: int) -> str:
    """`prompt` with two elements of `season`, both and their wording picked by `seed` alone."""
    import numpy as np

    # An empty prompt would leave the comma that joins it to the elements.
    return enhance(prompt, season, np.random.default_rng(seed)).lstrip(" ,")
