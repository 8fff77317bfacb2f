"""Writes the two tables of the default dataset: `python -m toyworld.make_tables`."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from imagepipe import assets
from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA

ROWS = 100
FIRST_ID = 100
SEED = 0


def animals() -> list[str]:
    """Each animal equally often (give or take one), and in each medium likewise."""
    return [
        _picture(MEDIA[(i + i // len(ANIMALS)) % len(MEDIA)], ANIMALS[i % len(ANIMALS)])
        for i in range(ROWS)
    ]


def outfits() -> list[str]:
    """All 80 garments in all colours, and 20 once more; shuffled, to meet different animals."""
    every = [f"{colour} {garment}" for garment in GARMENTS for colour in COLOURS]
    first, *rest = every
    rest += [
        f"{COLOURS[i % len(COLOURS)]} {GARMENTS[i % len(GARMENTS)]}"
        for i in range(ROWS - len(every))
    ]
    random.Random(SEED).shuffle(rest)
    return [first, *rest]


def write(folder: Path) -> None:
    """`animals.csv` and `outfits.csv`, which share their ids."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in (("animal", animals()), ("outfit", outfits())):
        _write(folder / f"{name}s.csv", ("id", name), values)


def _write(path: Path, header: Sequence[str], values: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(header)
        rows.writerows(enumerate(values, FIRST_ID))


def _picture(medium: str, animal: str) -> str:
    return f"{_article(medium).capitalize()} {medium} of {_article(animal)} {animal}"


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


if __name__ == "__main__":
    write(Path(assets.folder("asset:animals_outfits")))
