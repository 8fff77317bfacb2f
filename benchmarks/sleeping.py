"""A painter that takes its time and no CPU, for jobs side by side. On each node of a cluster it is
all there is of the benchmarks.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np


class Sleeps:
    """Takes `options.seconds` a picture."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def load(self) -> None:
        return

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        time.sleep(self.model.options["seconds"] * len(seeds))
        return np.full((len(seeds), self.model.height, self.model.width, 3), 99, np.uint8)

    def is_cut(self, prompt: str) -> bool:
        return False

    def unknown_words(self, prompt: str) -> list[str]:
        return []
