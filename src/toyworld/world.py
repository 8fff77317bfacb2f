"""What can be seen in the toy world, and which combinations are kept out of training."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from imagepipe.prompts.seasons import SEASONS

if TYPE_CHECKING:
    import numpy as np

ANIMALS = (
    "cat",
    "dog",
    "rabbit",
    "bear",
    "fox",
    "owl",
    "penguin",
    "elephant",
    "pig",
    "frog",
    "lion",
    "mouse",
    "giraffe",
    "panda",
    "duck",
    "monkey",
)
GARMENTS = ("scarf", "hat", "sweater", "bow tie", "cape", "dress", "crown", "skirt")
# All begin with a consonant sound, so that "a <colour> <garment>" is always right.
COLOURS = (
    "red",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "turquoise",
)
MEDIA = ("watercolor painting", "pencil sketch", "cartoon", "oil painting")

UNNAMED_SHARE = 0.2
HELD_OUT_ONE_IN = 10


@dataclass(frozen=True)
class Scene:
    """One picture's content; a season or medium of None is one that the caption does not name."""

    animal: str
    garment: str
    colour: str
    season: str | None = None
    medium: str | None = None


def is_held_out(scene: Scene) -> bool:
    """Whether the animal, garment and colour, whatever the season and medium, are for judging only.

    Stable across machines and Python versions: about one combination in ten, by hash.
    """
    name = f"{scene.animal}|{scene.garment}|{scene.colour}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") % HELD_OUT_ONE_IN == 0


def sample_scene(rng: np.random.Generator, held_out: bool = False) -> Scene:
    """A uniform draw from the training combinations or, if `held_out`, from the others."""
    while True:
        scene = Scene(
            animal=_choice(rng, ANIMALS),
            garment=_choice(rng, GARMENTS),
            colour=_choice(rng, COLOURS),
            season=_choice_or_none(rng, SEASONS),
            medium=_choice_or_none(rng, MEDIA),
        )
        if is_held_out(scene) == held_out:
            return scene


def _choice(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _choice_or_none(rng: np.random.Generator, options: tuple[str, ...]) -> str | None:
    return None if rng.random() < UNNAMED_SHARE else _choice(rng, options)
