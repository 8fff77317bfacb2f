"""Backgrounds: four seasons with their objects, and a plain studio for no season.

Drawn in units of the picture's side, (0, 0) at the top left. The middle belongs to the animal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from toyworld.pen import Colour, Pen, limb, oval, shape

WHITE = (253, 254, 255)
STUDIO: tuple[Colour, ...] = (
    (205, 205, 208),
    (214, 202, 186),
    (188, 192, 204),
    (206, 196, 212),
    (182, 188, 182),
    (222, 216, 208),
)


def draw_scenery(pen: Pen, season: str | None, rng: np.random.Generator) -> None:
    """The whole background of a picture."""
    (SCENERY[season] if season else _studio)(pen, rng)


def _studio(pen: Pen, rng: np.random.Generator) -> None:
    wall = STUDIO[int(rng.integers(len(STUDIO)))]
    floor = tuple(round(c * 0.86) for c in wall)
    horizon = rng.uniform(0.7, 0.82)
    _backdrop(pen, wall, floor, horizon)  # type: ignore[arg-type]


def _backdrop(pen: Pen, sky: Colour, ground: Colour, horizon: float) -> None:
    pen.fill(sky, shape((-0.1, -0.1), (1.1, -0.1), (1.1, 1.1), (-0.1, 1.1)))
    pen.fill(ground, shape((-0.1, horizon), (1.1, horizon), (1.1, 1.1), (-0.1, 1.1)))


def _sides(rng: np.random.Generator) -> tuple[float, float]:
    """Places for two large objects, one at each edge of the picture, in random order."""
    left, right = rng.uniform(0.06, 0.13), rng.uniform(0.87, 0.94)
    return (left, right) if rng.random() < 0.5 else (right, left)


def _corners(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """`count` places in the upper sides of the picture, apart from each other and the middle."""
    slots = [(x, y) for x in (0.07, 0.2, 0.8, 0.93) for y in (0.08, 0.25, 0.42)]
    slots += [(0.36, 0.06), (0.64, 0.06)]
    chosen = rng.permutation(len(slots))[:count]
    jitter = rng.uniform(-0.03, 0.03, (count, 2))
    return [
        (slots[k][0] + dx, slots[k][1] + dy) for k, (dx, dy) in zip(chosen, jitter, strict=True)
    ]


def _winter(pen: Pen, rng: np.random.Generator) -> None:
    horizon = rng.uniform(0.6, 0.68)
    _backdrop(pen, (128, 172, 224), (240, 246, 253), horizon + 0.08)
    hill = rng.uniform(0.2, 0.8)
    pen.paint((222, 234, 248), oval(hill, horizon + 0.2, 0.55, 0.22))
    pen.fill((243, 248, 254), shape((-0.1, 0.8), (1.1, 0.8), (1.1, 1.1), (-0.1, 1.1)))
    tree, man = _sides(rng)
    _pine(pen.at(tree, rng.uniform(0.76, 0.82)), rng.uniform(0.9, 1.1))
    _snowman(pen.at(man, rng.uniform(0.86, 0.93)), rng.uniform(0.9, 1.1))
    for x, y in _corners(rng, 7):
        _snowflake(pen.at(x, y), rng.uniform(0.034, 0.044), rng.uniform(0, 1))


def _pine(pen: Pen, s: float) -> None:
    pen.paint((110, 75, 50), limb(0.05 * s, (0, 0), (0, -0.06)))
    for low, high, w in ((-0.04, -0.24, 0.16), (-0.15, -0.33, 0.13), (-0.26, -0.42, 0.095)):
        pen.paint((38, 105, 85), shape((-w * s, low * s), (0, high * s), (w * s, low * s)))
        snow = (
            (-w * s * 0.5, (low + high) / 2 * s),
            (0, high * s),
            (w * s * 0.5, (low + high) / 2 * s),
        )
        pen.fill(WHITE, shape(*snow))


def _snowman(pen: Pen, s: float) -> None:
    pen.paint(WHITE, oval(0, -0.08 * s, 0.095 * s, 0.09 * s), edge=(120, 140, 170))
    pen.paint(WHITE, oval(0, -0.225 * s, 0.068 * s, 0.066 * s), edge=(120, 140, 170))
    pen.fill(
        (30, 30, 35),
        oval(-0.025 * s, -0.24 * s, 0.011, 0.012),
        oval(0.025 * s, -0.24 * s, 0.011, 0.012),
    )
    pen.fill((30, 30, 35), oval(0, -0.11 * s, 0.012, 0.012), oval(0, -0.06 * s, 0.012, 0.012))
    pen.fill(
        (245, 130, 30), shape((-0.008, -0.225 * s), (0.06 * s, -0.212 * s), (-0.004, -0.2 * s))
    )


def _snowflake(pen: Pen, r: float, phase: float) -> None:
    arms = []
    for k in range(3):
        a = phase + math.pi * k / 3
        dx, dy = r * math.cos(a), r * math.sin(a)
        arms.append(limb(0.018, (-dx, -dy), (dx, dy)))
    pen.paint(WHITE, *arms, edge=(84, 128, 190))


def _spring(pen: Pen, rng: np.random.Generator) -> None:
    horizon = rng.uniform(0.64, 0.72)
    _backdrop(pen, (206, 234, 248), (150, 218, 105), horizon)
    tree, bed = _sides(rng)
    _blossom_tree(pen.at(tree, horizon + 0.06), rng.uniform(0.95, 1.1))
    for dx, tall in ((-0.075, 0.13), (0.075, 0.13), (0.0, 0.19)):
        _tulip(pen.at(bed + dx, rng.uniform(0.93, 0.96)), tall, TULIPS[int(rng.integers(3))])
    _tulip(pen.at(tree + 0.03, 0.96), 0.12, TULIPS[int(rng.integers(3))])
    up = 0.14 if bed < 0.5 else 0.86
    _butterfly(pen.at(up, rng.uniform(0.16, 0.26)), (250, 170, 40))
    _butterfly(pen.at(up + rng.uniform(-0.05, 0.05), rng.uniform(0.42, 0.5)), (190, 120, 220))
    for x, y in _corners(rng, 3):
        pen.paint((255, 170, 200), oval(x, y, 0.026, 0.018, rng.uniform(0, 3)))


TULIPS: tuple[Colour, ...] = ((235, 60, 70), (255, 205, 50), (240, 110, 180))


def _blossom_tree(pen: Pen, s: float) -> None:
    pen.paint((125, 85, 60), limb(0.05 * s, (0, 0), (0, -0.3 * s)))
    puffs = [(0, -0.5), (-0.1, -0.42), (0.1, -0.42), (-0.06, -0.33), (0.07, -0.33)]
    pen.paint((255, 178, 208), *(oval(x * s, y * s, 0.1 * s, 0.095 * s) for x, y in puffs))
    spots = [(-0.1, -0.45), (0.02, -0.53), (0.09, -0.4), (-0.03, -0.36), (0.01, -0.44)]
    pen.fill((255, 235, 243), *(oval(x * s, y * s, 0.024, 0.024) for x, y in spots))


def _tulip(pen: Pen, tall: float, colour: Colour) -> None:
    pen.fill((50, 140, 60), limb(0.018, (0, 0), (0, -tall)), oval(0.025, -0.045, 0.014, 0.045, 0.4))
    top = -tall
    cup = (
        (-0.04, top - 0.04),
        (-0.02, top - 0.015),
        (0, top - 0.05),
        (0.02, top - 0.015),
        (0.04, top - 0.04),
    )
    pen.paint(colour, shape(*cup, (0.032, top + 0.02), (0, top + 0.038), (-0.032, top + 0.02)))


def _butterfly(pen: Pen, colour: Colour) -> None:
    wings = [oval(s * 0.036, -0.018, 0.036, 0.03, s * -0.5) for s in (-1, 1)]
    wings += [oval(s * 0.028, 0.022, 0.026, 0.022, s * 0.5) for s in (-1, 1)]
    pen.paint(colour, *wings)
    pen.fill((50, 40, 50), limb(0.014, (0, -0.035), (0, 0.035)))


def _summer(pen: Pen, rng: np.random.Generator) -> None:
    horizon = rng.uniform(0.54, 0.6)
    _backdrop(pen, (92, 190, 250), (246, 218, 150), horizon)
    shore = horizon + 0.16
    pen.fill((30, 120, 205), shape((-0.1, horizon), (1.1, horizon), (1.1, shore), (-0.1, shore)))
    pen.fill(WHITE, limb(0.02, *((x / 8, shore + 0.012 * (x % 2)) for x in range(-1, 10))))
    left, right = _sides(rng)
    _sun(
        pen.at(right + (0.03 if right > 0.5 else -0.03), rng.uniform(0.1, 0.16)),
        rng.uniform(0.105, 0.125),
    )
    tall, ball = (_palm, _beach_ball) if rng.random() < 0.5 else (_sunflower, _beach_ball)
    tall(pen.at(left, rng.uniform(0.82, 0.9)), rng.uniform(0.95, 1.1))
    ball(pen.at(right, rng.uniform(0.86, 0.91)), rng.uniform(0.95, 1.1))


def _sun(pen: Pen, r: float) -> None:
    rays = []
    for k in range(10):
        a, b = math.tau * k / 10, math.tau * (k + 0.5) / 10
        rays += [
            (r * 1.55 * math.cos(a), r * 1.55 * math.sin(a)),
            (r * math.cos(b), r * math.sin(b)),
        ]
    pen.paint((255, 190, 30), shape(*rays))
    pen.fill((255, 228, 60), oval(0, 0, r * 0.86, r * 0.86))


def _palm(pen: Pen, s: float) -> None:
    pen.paint((150, 100, 55), limb(0.048 * s, (0, 0), (0.012, -0.22 * s), (0.0, -0.46 * s)))
    for x, y, turn in (
        (-0.09, -0.5, 0.35),
        (0.09, -0.5, -0.35),
        (-0.08, -0.42, -0.6),
        (0.08, -0.42, 0.6),
    ):
        pen.paint((45, 150, 60), oval(x * s, y * s, 0.105 * s, 0.033 * s, -turn))


def _sunflower(pen: Pen, s: float) -> None:
    pen.paint(
        (60, 140, 55), limb(0.026, (0, 0), (0, -0.34 * s)), oval(0.05, -0.14, 0.05, 0.025, -0.5)
    )
    petals = [
        oval(0.075 * s * math.cos(a), -0.36 * s + 0.075 * s * math.sin(a), 0.045 * s, 0.028 * s, a)
        for a in (math.tau * k / 9 for k in range(9))
    ]
    pen.paint((255, 205, 30), *petals)
    pen.paint((110, 65, 30), oval(0, -0.36 * s, 0.052 * s, 0.052 * s))


def _beach_ball(pen: Pen, s: float) -> None:
    r = 0.088 * s
    pen.paint(WHITE, oval(0, 0, r, r), edge=(90, 90, 100))
    for k, colour in enumerate(((235, 60, 60), (255, 205, 40), (50, 110, 225))):
        a = math.tau * k / 3 - 0.3
        arc = [(r * math.cos(a + t * 0.26), r * math.sin(a + t * 0.26)) for t in range(5)]
        pen.fill(colour, shape((0, 0), *arc))


def _autumn(pen: Pen, rng: np.random.Generator) -> None:
    horizon = rng.uniform(0.62, 0.7)
    _backdrop(pen, (250, 218, 158), (190, 125, 62), horizon)
    tree, patch = _sides(rng)
    _maple(pen.at(tree, horizon + 0.08), rng.uniform(0.95, 1.1))
    _pumpkin(pen.at(patch, rng.uniform(0.84, 0.88)), rng.uniform(0.95, 1.1))
    _pumpkin(pen.at(tree, 0.93), 0.7)
    for x, y in _corners(rng, 5):
        _leaf(pen.at(x, y), LEAVES[int(rng.integers(3))], rng.uniform(-0.8, 0.8))
    for x in (0.3, 0.46, 0.62, 0.76):
        place = pen.at(x + rng.uniform(-0.05, 0.05), rng.uniform(0.93, 0.98))
        _leaf(place, LEAVES[int(rng.integers(3))], rng.uniform(-1.5, 1.5))


LEAVES: tuple[Colour, ...] = ((215, 60, 30), (240, 140, 25), (250, 195, 40))


def _maple(pen: Pen, s: float) -> None:
    pen.paint((95, 60, 40), limb(0.055 * s, (0, 0), (0, -0.3 * s)))
    puffs = [(0, -0.5), (-0.1, -0.42), (0.1, -0.42), (-0.06, -0.33), (0.07, -0.33)]
    pen.paint((225, 98, 28), *(oval(x * s, y * s, 0.1 * s, 0.095 * s) for x, y in puffs))
    spots = [(-0.1, -0.45), (0.02, -0.53), (0.09, -0.4), (-0.03, -0.36)]
    pen.fill((250, 175, 45), *(oval(x * s, y * s, 0.026, 0.026) for x, y in spots))


def _pumpkin(pen: Pen, s: float) -> None:
    pen.paint((80, 120, 45), limb(0.03 * s, (0, -0.06 * s), (0.012, -0.105 * s)))
    pen.paint(
        (240, 130, 25),
        oval(-0.06 * s, 0, 0.06 * s, 0.07 * s),
        oval(0.06 * s, 0, 0.06 * s, 0.07 * s),
        oval(0, 0, 0.065 * s, 0.078 * s),
    )
    for x in (-0.05, 0, 0.05):
        pen.fill(
            (195, 90, 15), limb(0.013, (x * s, -0.05 * s), (x * s * 1.3, 0), (x * s, 0.05 * s))
        )


def _leaf(pen: Pen, colour: Colour, turn: float) -> None:
    cos, sin = math.cos(turn), math.sin(turn)
    outline = [
        (0, -0.045),
        (0.035, -0.01),
        (0.026, 0.03),
        (0, 0.045),
        (-0.026, 0.03),
        (-0.035, -0.01),
    ]
    pen.paint(colour, shape(*((x * cos - y * sin, x * sin + y * cos) for x, y in outline)))


SCENERY: dict[str, Callable[[Pen, np.random.Generator], None]] = {
    "spring": _spring,
    "summer": _summer,
    "autumn": _autumn,
    "winter": _winter,
}
