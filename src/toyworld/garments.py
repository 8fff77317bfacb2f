"""The eight garments, fitted to an animal's proportions, in the same units as the animals."""

from __future__ import annotations

from collections.abc import Callable

from toyworld.anatomy import Animal, Pose, arm_points
from toyworld.pen import Colour, Pen, limb, mirrored, oval, shape

COLOUR_VALUES: dict[str, Colour] = {
    "red": (222, 28, 36),
    "yellow": (255, 212, 0),
    "green": (12, 126, 46),
    "blue": (28, 70, 215),
    "purple": (125, 40, 175),
    "pink": (255, 96, 180),
    "brown": (120, 64, 24),
    "black": (32, 32, 36),
    "white": (252, 252, 252),
    "turquoise": (40, 215, 205),
}


def trim_of(colour: Colour) -> Colour:
    """The shade of a garment's hems and folds: darker, but lighter on dark colours."""
    if sum(colour) < 150:
        return (78, 78, 86)
    factor = 0.82 if min(colour) > 200 else 0.7
    return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor))


def _cape_back(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y, w = animal.neck, animal.torso[0]
    hem = [(w + 0.22, 0.93), (w + 0.11, 0.97), (w + 0.02, 0.93), (0, 0.95)]
    right = [(0, y - 0.02), (0.12, y - 0.01), (w + 0.1, 0.68), *hem]
    pen.paint(colour, shape(*right, *mirrored(right)[::-1]))
    for x in (-1, 1):
        pen.fill(trim_of(colour), limb(0.016, (x * (w + 0.04), 0.66), (x * (w + 0.11), 0.94)))


def _cape_front(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y, w = animal.neck, animal.torso[0]
    flap = [
        (0.02, y - 0.02),
        (w - 0.04, y - 0.01),
        (w + 0.05, y + 0.07),
        (w - 0.03, y + 0.15),
        (0.03, y + 0.06),
    ]
    pen.paint(colour, shape(*flap), shape(*mirrored(flap)))
    pen.paint((255, 205, 60), oval(0, y + 0.03, 0.034, 0.034))


def _scarf(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y, w = animal.neck, min(0.19, animal.torso[0])
    trim = trim_of(colour)
    pen.paint(colour, shape((0.05, y), (0.145, y - 0.01), (0.165, y + 0.28), (0.06, y + 0.29)))
    pen.fill(
        trim, shape((0.066, y + 0.2), (0.157, y + 0.195), (0.16, y + 0.23), (0.066, y + 0.235))
    )
    pen.paint(
        colour, limb(0.1, (-w, y - 0.005), (-w / 2, y + 0.022), (w / 2, y + 0.022), (w, y - 0.005))
    )
    pen.fill(trim, limb(0.022, (-0.08, y - 0.02), (-0.095, y + 0.06)))
    pen.paint(colour, oval(0.1, y + 0.02, 0.062, 0.058))


def _hat(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y, s = animal.top + 0.015, animal.hat
    w, h = 0.125 * s, 0.2 * s
    pen.paint(
        colour,
        shape((-w, y), (-w * 1.08, y - h), (w * 1.08, y - h), (w, y)),
        oval(0, y - h, w * 1.08, 0.03 * s),
    )
    pen.fill(
        trim_of(colour), shape((-w, y), (-w * 1.03, y - 0.06 * s), (w * 1.03, y - 0.06 * s), (w, y))
    )
    pen.paint(colour, oval(0, y + 0.005, 0.215 * s, 0.036 * s))


def _crown(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y, s = animal.top + 0.035, animal.hat
    w, h = 0.16 * s, 0.2 * s
    spikes = [
        (-w, y),
        (-w * 1.25, y - h),
        (-w * 0.55, y - h * 0.6),
        (0, y - h * 1.15),
        (w * 0.55, y - h * 0.6),
        (w * 1.25, y - h),
        (w, y),
    ]
    pen.paint(colour, shape(*spikes))
    balls = [oval(x, yy, 0.034 * s, 0.034 * s) for x, yy in (spikes[1], spikes[3], spikes[5])]
    pen.paint(colour, *balls)
    pen.fill(
        trim_of(colour),
        shape((-w, y), (-w * 1.05, y - 0.045 * s), (w * 1.05, y - 0.045 * s), (w, y)),
    )


def _bow_tie(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y = animal.neck + 0.035
    wing = [(0.0, y - 0.03), (0.17, y - 0.09), (0.185, y), (0.17, y + 0.09), (0.0, y + 0.03)]
    pen.paint(colour, shape(*wing), shape(*mirrored(wing)))
    fold = trim_of(colour)
    pen.fill(
        fold, limb(0.016, (0.05, y), (0.12, y - 0.025)), limb(0.016, (-0.05, y), (-0.12, y - 0.025))
    )
    pen.paint(colour, oval(0, y, 0.05, 0.052))


def _sweater(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    w, y = animal.torso[0] + 0.015, animal.neck
    trim = trim_of(colour)
    side = [(0, y - 0.03), (w - 0.05, y + 0.015), (w, 0.68), (w, 0.8), (w - 0.03, 0.875), (0, 0.89)]
    pen.paint(colour, shape(*side, *mirrored(side)[::-1]))
    hem = [(0, 0.85), (w - 0.012, 0.835), (w - 0.03, 0.875), (0, 0.89)]
    pen.fill(trim, shape(*hem, *mirrored(hem)[::-1]))
    for x in (-1, 1):
        arm = arm_points(animal, pose, x)
        pen.paint(colour, limb(0.125, *arm[:2], _between(arm[1], arm[2], 0.55)))
        pen.fill(trim, limb(0.04, *_cuff(arm)))


def _between(a: tuple[float, float], b: tuple[float, float], t: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _cuff(arm: list[tuple[float, float]]) -> list[tuple[float, float]]:
    x, y = _between(arm[1], arm[2], 0.5)
    return [(x - 0.04, y), (x + 0.04, y)]


def _collar(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    y, w = animal.neck, 0.115
    pen.paint(colour, limb(0.075, (-w, y), (0, y + 0.02), (w, y)))


def _dress(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    w, y = animal.torso[0], animal.neck
    side = [
        (0, y - 0.02),
        (w - 0.04, y),
        (w - 0.035, 0.7),
        (w + 0.13, 0.9),
        (w * 0.5, 0.93),
        (0, 0.94),
    ]
    pen.paint(colour, shape(*side, *mirrored(side)[::-1]))
    pen.fill(trim_of(colour), limb(0.035, (-w + 0.03, 0.7), (0, 0.715), (w - 0.03, 0.7)))
    for x in (-0.6, 0, 0.6):
        pen.fill(trim_of(colour), limb(0.014, (x * w * 0.9, 0.76), (x * (w + 0.1), 0.915)))


def _puffs(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    w, y = animal.torso[0], animal.neck
    pen.paint(
        colour, oval(w - 0.01, y + 0.065, 0.07, 0.062), oval(0.01 - w, y + 0.065, 0.07, 0.062)
    )


def _skirt(pen: Pen, animal: Animal, pose: Pose, colour: Colour) -> None:
    w = animal.torso[0]
    waist, hem, out = 0.73, 0.9, w + 0.12
    scallops = [oval(x * out, hem, out * 0.26, 0.032) for x in (-0.75, -0.25, 0.25, 0.75)]
    pen.paint(
        colour, shape((-w + 0.01, waist), (w - 0.01, waist), (out, hem), (-out, hem)), *scallops
    )
    for x in (-0.5, 0, 0.5):
        pen.fill(trim_of(colour), limb(0.016, (x * w, waist + 0.05), (x * out, hem + 0.01)))
    pen.paint(
        trim_of(colour), limb(0.05, (-w + 0.02, waist), (0, waist + 0.012), (w - 0.02, waist))
    )


Painter = Callable[[Pen, Animal, Pose, Colour], None]
SLEEVED = ("sweater",)
"""What covers the hands too, so that they have to be drawn again."""
BEHIND: dict[str, Painter] = {"cape": _cape_back}
ON_TORSO: dict[str, Painter] = {"dress": _dress, "skirt": _skirt}
ON_ARMS: dict[str, Painter] = {"sweater": _sweater, "dress": _puffs}
ON_TOP: dict[str, Painter] = {
    "scarf": _scarf,
    "hat": _hat,
    "bow tie": _bow_tie,
    "cape": _cape_front,
    "crown": _crown,
    "sweater": _collar,
}
