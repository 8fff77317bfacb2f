"""Painters that take their time, or break where a test says so."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from imagepipe.config import Model
from imagepipe.diffusion.noop import NoopPainter


class Slow(NoopPainter):
    """`options.seconds` a picture; a prompt with `options.hates` in it fails, or with
    `options.hangs` never ends, as long as the file `options.while` is there."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.options = model.options

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        time.sleep(self.options.get("seconds", 0) * len(prompts))
        if Path(self.options.get("while", "/")).exists():
            if any(self.options.get("hates", "\0") in prompt for prompt in prompts):
                raise ValueError("this painter hates it")
            while any(self.options.get("hangs", "\0") in prompt for prompt in prompts):
                time.sleep(1)
        return super().paint(prompts, seeds)
