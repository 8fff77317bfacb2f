"""The fixed list of 400 prompts that the embedded models are judged on.

`python -m toyworld.held_out` writes it to the table of `dataset=toyworld`. Every animal
meets every pair of season and medium once, unnamed ones included; garments and colours come round
in turn, from combinations that no training saw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np

from imagepipe.assets import folder
from imagepipe.prompts.seasons import SEASONS, enhance
from toyworld.captions import base_prompt
from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA, Scene, is_held_out

SEED = 400
DEFAULT = Path(folder("asset:toyworld/held_out.jsonl"))


@dataclass(frozen=True)
class Case:
    """A scene, the prompt to draw it from, and the prompt before the season came in."""

    scene: Scene
    base: str
    prompt: str


def cases() -> list[Case]:
    """16 animals x 5 seasons x 5 media; "none" is one of the five each time."""
    rng = np.random.default_rng(SEED)
    turns = {animal: _turns(animal, rng) for animal in ANIMALS}
    settings = product((*SEASONS, None), (*MEDIA, None))
    return [
        _case(Scene(animal, *next(turns[animal]), season, medium), rng)
        for season, medium in settings
        for animal in ANIMALS
    ]


def _turns(animal: str, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    worn = [pair for pair in product(GARMENTS, COLOURS) if is_held_out(Scene(animal, *pair))]
    rng.shuffle(worn)
    return cycle((str(garment), str(colour)) for garment, colour in worn)


def _case(scene: Scene, rng: np.random.Generator) -> Case:
    base = base_prompt(replace(scene, season=None))
    prompt = base if scene.season is None else enhance(base, scene.season, rng)
    return Case(scene, base, prompt)


def save(path: Path) -> None:
    """A JSON object a line: `id`, the scene's parts, `base` and `prompt`."""
    rows = [
        {"id": number, **asdict(case.scene), "base": case.base, "prompt": case.prompt}
        for number, case in enumerate(cases())
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def load(path: Path) -> list[Case]:
    """The cases of a file that `save` wrote."""
    return [_read(json.loads(line)) for line in path.read_text().splitlines()]


def _read(row: dict[str, Any]) -> Case:
    parts = {name: row[name] for name in ("animal", "garment", "colour", "season", "medium")}
    return Case(Scene(**parts), row["base"], row["prompt"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    save(parser.parse_args().out)


if __name__ == "__main__":
    main()
