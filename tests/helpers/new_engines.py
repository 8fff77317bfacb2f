"""An engine of each kind in a file of its own, and a run that measures them before it draws:
`python -m helpers.new_engines FOLDER`.

Prints as a JSON object what is said of them before a run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from helpers.configs import composed

from imagepipe.cli.plan import plan
from imagepipe.config import LLM, Config, Model
from imagepipe.diffusion.noop import NoopGenerator
from imagepipe.execution.calibration import unmeasured
from imagepipe.execution.loading import libraries
from imagepipe.execution.run import run
from imagepipe.llm import Answer
from imagepipe.stages.engines import TABLE, Engine

HERE = "helpers.new_engines"
LINES = {
    "llm": Engine(f"{HERE}.Echo", libraries=("colorsys",), unmeasured="it takes no time"),
    "model": Engine(f"{HERE}.Plain"),
    "scorer": Engine(f"{HERE}.Lightness"),
}


class Echo:
    """Says every prompt twice."""

    def __init__(self, config: LLM) -> None:
        self.between = config.system

    def load(self) -> None:
        pass

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        return [Answer(f"{prompt}{self.between}{prompt}", 1, 2) for prompt in prompts]


class Plain(NoopGenerator):
    """Draws one grey, whose level is the number of steps."""

    def paint(
        self, prompts: list[str], seeds: list[int], drawn: list[Model] | None = None
    ) -> np.ndarray:
        size = (len(prompts), self.model.height, self.model.width, 3)
        return np.full(size, self.model.steps, np.uint8)


class Lightness:
    """Gives the mean of all values."""

    def __init__(self, config: Any) -> None:
        pass

    def load(self) -> None:
        pass

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        return images.mean(axis=(1, 2, 3))


def composed_with_them(*overrides: str) -> Config:
    """A configuration of all three, each with a line in the table of this process."""
    for kind, line in LINES.items():
        TABLE[kind]["new"] = line
    return composed(
        *("llm=template", "llm.engine=new", "llm.system=' and '", "model=noop", "model.engine=new"),
        *("model.steps=77", "model.width=64", "model.height=64", "scorer=none"),
        *("scorer.name=light", "scorer.engine=new", "tracking=none", *overrides),
    )


def main(folder: Path) -> None:
    measured = ["resources=tuned", "resources.calibrate_s=600"]  # of a machine that is busy too
    config = composed_with_them("limit=24", f"outputs={folder.parent}", *measured)
    run(config, folder)
    said = {"plan": plan(config), "libraries": libraries(config), "unmeasured": unmeasured(config)}
    print(json.dumps(said, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
