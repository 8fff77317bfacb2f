"""A scorer of the picture's own, and of its prompt's length; it needs no weights."""

from __future__ import annotations

import math
import time

import numpy as np

from imagepipe.config import Scorer


class Lightness:
    """The mean of all values, less the letters of the prompt."""

    limits = (-math.inf, 255.0)

    def __init__(self, config: Scorer) -> None:
        self.config = config

    def load(self) -> None:
        """There are no weights."""

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        return images.mean(axis=(1, 2, 3)) - np.array([len(prompt) for prompt in prompts])


class Slow(Lightness):
    """Takes a tenth of a second for each picture."""

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        time.sleep(0.1 * len(prompts))
        return super().score(images, prompts)
