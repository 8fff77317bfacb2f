"""Engines that write down, a line in the file `options.file`, what they are asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imagepipe.config import LLM, Model, Scorer
from imagepipe.diffusion.noop import NoopGenerator
from imagepipe.llm import Answer

REFUSED = "I am sorry, but I cannot help with that."


def asked(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []


def _write_down(options: dict, lines: list[str]) -> None:
    with Path(options["file"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


class Writes:
    """Answers that say the seed; declines a prompt with `options.declines` in it."""

    def __init__(self, config: LLM) -> None:
        self.options = config.options

    def load(self) -> None:
        return

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        _write_down(self.options, [f"llm {prompt}" for prompt in prompts])
        declines = self.options.get("declines", "\0")
        return [
            Answer(REFUSED if declines in prompt else f"{prompt} in {season} number {seed % 1000}")
            for prompt, season, seed in zip(prompts, seasons, seeds, strict=True)
        ]


class Paints(NoopGenerator):
    """Pictures of a colour by the seed and the number of steps."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.model = model

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        _write_down(self.model.options, [f"model {prompt}" for prompt in prompts])
        shape = (self.model.height, self.model.width, 3)
        values = [(seed + 40 * self.model.steps) % 200 + 1 for seed in seeds]
        return np.stack([np.full(shape, value, np.uint8) for value in values])


class Scores:
    """How light a picture is."""

    def __init__(self, config: Scorer) -> None:
        self.options = config.options

    def load(self) -> None:
        return

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        _write_down(self.options, [f"scorer {prompt}" for prompt in prompts])
        return images.mean(axis=(1, 2, 3))
