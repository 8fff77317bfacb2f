"""The four seasons and the short elements that stand for each in a prompt."""

from __future__ import annotations

from hashlib import blake2b

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


def season_of(seed: int) -> str:
    """A season drawn uniformly by `seed` alone.

    The seed is hashed, so that neighbouring seeds, and seeds that share their low bits, are
    independent draws.
    """
    digest = blake2b(f"season:{seed}".encode(), digest_size=8).digest()
    return SEASONS[int.from_bytes(digest, "big") % len(SEASONS)]
