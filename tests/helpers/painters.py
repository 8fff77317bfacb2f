"""ImageGenerators that take their time, or break where a test says so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from imagepipe.config import Model
from imagepipe.diffusion.noop import NoopGenerator


class Never(NoopGenerator):
    """Has never loaded its weights."""

    def load(self) -> None:
        while True:
            time.sleep(60)


class Slow(NoopGenerator):
    """Takes `options.seconds` a picture as long as the file `options.slow` is there.

    As long as the file `options.bad` is there, a prompt with `options.hates` in it fails, and one
    with `options.hangs` never ends, which the file then says.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.options = model.options

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        ready = time.monotonic() + self.options["seconds"] * len(prompts)
        while Path(self.options["slow"]).exists() and (left := ready - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        if Path(self.options["bad"]).exists() and self._has("hates", prompts):
            raise ValueError("this painter hates it")
        bad = Path(self.options["bad"])
        while bad.exists() and self._has("hangs", prompts):
            bad.write_text("hangs")
            time.sleep(1)
        return super().paint(prompts, seeds)

    def _has(self, option: str, prompts: list[str]) -> bool:
        return any(self.options.get(option, "\0") in prompt for prompt in prompts)


class Echo(NoopGenerator):
    """Draws the picture that goes in."""

    def paint(
        self,
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model] | None = None,
        pictures: list[Mapping[str, np.ndarray]] | None = None,
    ) -> np.ndarray:
        return np.stack([one["image"] for one in pictures or ()])


class Spoiling(NoopGenerator):
    """Leaves a file that is no Parquet at `options.part`, among those of the table."""

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        Path(self.model.options["part"]).write_bytes(b"PAR1 and nothing else")
        return super().paint(prompts, seeds)


class Remembering(NoopGenerator):
    """Keeps of every batch the steps and the negative prompt of each picture."""

    batches: ClassVar[list[list[tuple[int, str | None]]]] = []

    def paint(
        self, prompts: list[str], seeds: list[int], drawn: list[Model] | None = None
    ) -> np.ndarray:
        self.batches.append([(one.steps, one.negative_prompt) for one in drawn or ()])
        return super().paint(prompts, seeds, drawn)


class Noting(NoopGenerator):
    """Adds to the file `options.file` of how many pictures each batch is."""

    def paint(
        self, prompts: list[str], seeds: list[int], drawn: list[Model] | None = None
    ) -> np.ndarray:
        with open(self.model.options["file"], "a") as file:
            file.write(f"{len(prompts)}\n")
        return super().paint(prompts, seeds, drawn)
