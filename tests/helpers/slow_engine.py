"""A model that takes its time and leaves a mark of the node that it drew on; a module of a
person's own, that no node has.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np


class Slow:
    """Flat pictures, each in `options.seconds` as long as the file `options.slow` is there.

    `options.marks` is a folder for a file a node. With `options.nodes` none goes on before so many
    nodes have begun to draw.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def load(self) -> None:
        import ray

        node = ray.get_runtime_context().get_node_id()
        self.mark = Path(self.model.options["marks"], node)

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        if Path(self.model.options["slow"]).exists():
            time.sleep(self.model.options["seconds"] * len(seeds))
        self.mark.touch()
        while len(list(self.mark.parent.iterdir())) < self.model.options.get("nodes", 1):
            time.sleep(0.05)
        colours = np.array([1 + seed % 255 for seed in seeds], np.uint8)
        shape = (len(seeds), self.model.height, self.model.width, 3)
        return np.broadcast_to(colours[:, None, None, None], shape).copy()

    def is_cut(self, prompt: str) -> bool:
        return False

    def unknown_words(self, prompt: str) -> list[str]:
        return []
