"""The fixed list of 400 prompts that the embedded models are judged on.

`python -m toyworld.held_out` writes it to tests/toyworld/held_out_prompts.json. Every animal
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

import numpy as np

from imagepipe.prompts.seasons import SEASONS, enhance
from toyworld.captions import base_prompt
from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA, Scene, is_held_out

SEED = 400
DEFAULT = Path("tests/toyworld/held_out_prompts.json")


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
    """A line a case, so that the list can be read and compared."""
    rows = [{**asdict(case.scene), "base": case.base, "prompt": case.prompt} for case in cases()]
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f"[\n{lines}\n]\n")


def load(path: Path) -> list[Case]:
    """The cases of a file that `save` wrote."""
    rows = json.loads(path.read_text())
    return [
        Case(base=row.pop("base"), prompt=row.pop("prompt"), scene=Scene(**row)) for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    save(parser.parse_args().out)


if __name__ == "__main__":
    main()
