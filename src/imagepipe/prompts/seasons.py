"""The four seasons, short elements for each, and how a prompt gets two of them."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SEASONS = ("spring", "summer", "autumn", "winter")

# No colour, garment, animal or medium is named here: an element must never compete with the
# subject of the prompt that it is added to. Each element belongs to one season only.
ELEMENTS: dict[str, tuple[str, ...]] = {
    "spring": (
        "cherry blossoms",
        "blooming tulips",
        "fluttering butterflies",
        "falling petals",
        "a blossoming tree",
        "a flowering meadow",
        "a bed of tulips",
        "fresh young grass",
        "a passing butterfly",
        "drifting blossom petals",
        "a tulip garden",
        "blooming flowers",
    ),
    "summer": (
        "a blazing sun",
        "a sandy beach",
        "a calm sea",
        "a swaying palm",
        "a striped beach ball",
        "a tall sunflower",
        "bright sunshine",
        "warm sand",
        "a sunny shore",
        "a palm tree",
        "gentle ocean waves",
        "a cloudless sky",
    ),
    "autumn": (
        "golden fallen leaves",
        "a pumpkin patch",
        "ripe pumpkins",
        "falling leaves",
        "a maple tree",
        "drifting maple leaves",
        "a round pumpkin",
        "rusty foliage",
        "crisp dry leaves",
        "a harvest field",
        "a leafy path",
        "an amber sky",
    ),
    "winter": (
        "falling snowflakes",
        "a frosted pine",
        "a smiling snowman",
        "deep snow drifts",
        "snowy hills",
        "a snowy pine",
        "large snowflakes",
        "a blanket of snow",
        "frozen ground",
        "fresh snow",
        "a frosty sky",
        "a little snowman",
    ),
}
ENHANCEMENTS = (
    "{0}, with {1} and {2}",
    "{0} with {1} and {2}",
    "{0}, surrounded by {1} and {2}",
    "{0}, amid {1} and {2}",
    "{0} amid {1} and {2}",
    "{0} among {1} and {2}",
    "{0}, {1} and {2} all around",
    "{0}, {1} and {2} in the background",
    "{0}, near {1} and {2}",
    "{0}, with {1} beside {2}",
    "{0}, {1}, {2}",
    "{0}, {1} and {2}",
)


def season_of(seed: int) -> str:
    """A season drawn uniformly by `seed` alone.

    The seed is hashed, so that neighbouring seeds, and seeds that share their low bits, are
    independent draws.
    """
    digest = blake2b(f"season:{seed}".encode(), digest_size=8).digest()
    return SEASONS[int.from_bytes(digest, "big") % len(SEASONS)]


def enhance(prompt: str, season: str, rng: np.random.Generator, ordered: bool = False) -> str:
    """`prompt`, kept letter for letter, followed by two different elements of `season`.

    `ordered`: in the order of the list, from which a small language model can learn that they
    differ: after an element only later ones come.
    """
    chosen = rng.permutation(len(ELEMENTS[season]))[:2]
    first, second = sorted(chosen) if ordered else chosen
    elements = ELEMENTS[season][first], ELEMENTS[season][second]
    wording = ENHANCEMENTS[int(rng.integers(len(ENHANCEMENTS)))]
    return wording.format(prompt.rstrip(" .,"), *elements)
