"""A model that costs nothing, to measure the cost of everything else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from imagepipe.config import Model


class NoopGenerator:
    """One flat colour per picture, from its seed."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def load(self) -> None:
        """There are no weights."""

    def paint(
        self,
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model] | None = None,
        pictures: list[Mapping[str, np.ndarray]] | None = None,
    ) -> np.ndarray:
        """uint8 (n, height, width, 3); never black, which would mean a failed picture."""
        colours = [[1 + (seed >> shift) % 255 for shift in (0, 8, 16)] for seed in seeds]
        model = drawn[0] if drawn else self.model
        images = np.empty((len(seeds), model.height, model.width, 3), np.uint8)
        images[:] = np.array(colours, np.uint8)[:, None, None, :]
        return images

    def is_cut(self, prompt: str) -> bool:
        """There is no text encoder, so no limit."""
        return False

    def unknown_words(self, prompt: str) -> list[str]:
        """Nothing is read, so nothing is unknown."""
        return []
