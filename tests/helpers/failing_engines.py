"""Engines that fail as real ones do, for rows whose prompts ask for it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from imagepipe import config
from imagepipe.config import LLM, Model
from imagepipe.llm import Answer

ROOM = 2  # pictures that fit into the painter's memory at once
GREY = 100


class ImageGenerator:
    """Draws GREY and one lighter for each picture that is drawn at once."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def load(self) -> None:
        """There are no weights."""

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        import torch

        if len(prompts) > ROOM or "huge" in "".join(prompts):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if "cursed" in "".join(prompts):
            raise ValueError("this prompt is cursed")
        size = (self.model.height, self.model.width, 3)
        grey = [0 if "black" in prompt else GREY + len(prompts) for prompt in prompts]
        return np.stack([np.full(size, shade, np.uint8) for shade in grey])

    def is_cut(self, prompt: str) -> bool:
        return False

    def unknown_words(self, prompt: str) -> list[str]:
        return []


class Enhancer:
    """Repeats the prompt, has no answer to some, and breaks at others."""

    def __init__(self, config: LLM) -> None:
        self.config = config

    def load(self) -> None:
        """There are no weights."""

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        if "loud" in "".join(prompts):
            raise RuntimeError("too loud")
        return [
            Answer("", error="the server said no") if "mute" in prompt else Answer(prompt)
            for prompt in prompts
        ]


class Slow(ImageGenerator):
    """Takes as long as a GPU would, and leaves the CPU alone meanwhile."""

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        time.sleep(self.model.options["seconds"])
        return np.full((len(prompts), self.model.height, self.model.width, 3), GREY, np.uint8)


class Scorer:
    """Scores 1, breaks at some prompts, and gives others no number or too many.

    Of the pictures of "half a" thing every second one gets none.
    """

    def __init__(self, config: config.Scorer) -> None:
        self.config = config

    def load(self) -> None:
        """There are no weights."""

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        asked = " ".join(prompts)
        if "huge" in asked:
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if "cursed" in asked:
            raise ValueError("this prompt is cursed")
        scores = [float("nan") if "blank" in prompt else 1.0 for prompt in prompts]
        if "half" in asked:
            scores[1::2] = [float("inf")] * (len(scores) // 2)
        return np.array([*scores, 1.0] if "twice" in asked else scores)


class Mortal(ImageGenerator):
    """Its first process ends without a word, as one that the system killed."""

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        died = Path(self.model.options["died"])
        if not died.exists():
            died.touch()
            os._exit(1)
        return super().paint(prompts[:1], seeds[:1]).repeat(len(prompts), axis=0)


class Judge:
    """A `scoring.RowScorer` that breaks with one row, and gives a number that is none."""

    reads = ("prompt",)
    adds = pa.schema([("shows", pa.float32()), ("fine", pa.float32())])

    def __init__(self, config: config.Scorer) -> None:
        self.config = config

    def load(self) -> None:
        """There are no weights."""

    def judge(self, images: np.ndarray, rows: pa.Table) -> dict[str, list[Any]]:
        prompts = rows["prompt"].to_pylist()
        for prompt in prompts:
            if "thing 1" in prompt:
                raise ValueError(f"{prompt} is cursed")
        count = len(images)
        return {"shows": [1.0] * count, "fine": [np.inf] * count, "scorer_error": [None] * count}
