"""How an animal is put together: upright, facing the viewer, in units of the figure's height.

x runs from about -0.4 to 0.4, y from 0 (the tips of a cat's ears) to 1 (the feet). An animal is
drawn in two goes, body and head, so that garments can lie under or over either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from toyworld.pen import Colour, Part, Pen, both, limb, oval

INK = (25, 22, 28)
WHITE = (252, 252, 250)
PINK = (245, 150, 165)
BEAK = (250, 150, 30)
GIRAFFE_HEAD = 0.05
"""How far below the others' crown a giraffe's head begins, so that a hat stays in the picture."""

Painter = Callable[[Pen, Colour], None]
"""Draws a part of an animal whose fur has the given colour."""


@dataclass(frozen=True)
class Pose:
    """`arm` is how far the hands are raised, `step` how far the feet are apart, in units."""

    arm: float = 0.0
    step: float = 0.0


@dataclass(frozen=True)
class Animal:
    """Colours, proportions, and the painters of what makes the animal itself.

    `head` is (x, y, rx, ry); `torso` is (rx, ry); `top` is where a hat sits, `neck` where a
    scarf lies, in y; `hat` scales what is worn on the head. `trunk` is joined to the torso, and
    `coat` marks both.
    """

    fur: Colour
    face: Painter
    ears: Painter | None = None
    tail: Painter | None = None
    belly: Colour | None = None
    limbs: Colour | None = None
    feet: Colour | None = None
    head: tuple[float, float, float, float] = (0.0, 0.33, 0.25, 0.205)
    torso: tuple[float, float] = (0.185, 0.22)
    top: float = 0.16
    neck: float = 0.555
    hat: float = 1.0
    webbed: bool = False
    trunk: tuple[Part, ...] = ()
    coat: Painter | None = None


def draw_body(pen: Pen, animal: Animal, pose: Pose) -> None:
    """Tail, feet, torso with belly, without the arms."""
    if animal.tail:
        animal.tail(pen, animal.fur)
    rx, ry = animal.torso
    limbs = animal.limbs or animal.fur
    feet = animal.feet or limbs
    step = 0.1 + pose.step
    if animal.webbed:
        pen.paint(feet, *both(oval, step, 0.955, 0.1, 0.04))
    else:
        pen.paint(
            limbs, limb(0.12, (step, 0.84), (step, 0.93)), limb(0.12, (-step, 0.84), (-step, 0.93))
        )
        pen.paint(feet, *both(oval, step + 0.015, 0.95, 0.085, 0.05))
    pen.paint(animal.fur, oval(0, 0.72, rx, ry), *animal.trunk)
    if animal.belly:
        pen.fill(animal.belly, oval(0, 0.75, rx * 0.66, ry * 0.72))
    if animal.coat:
        animal.coat(pen, animal.fur)


def arm_points(animal: Animal, pose: Pose, side: int) -> list[tuple[float, float]]:
    """Shoulder, elbow and hand of one arm."""
    rx = animal.torso[0]
    return [
        (side * (rx - 0.035), 0.61),
        (side * (rx + 0.055), 0.69 - 0.3 * pose.arm),
        (side * (rx + 0.085), 0.77 - pose.arm),
    ]


def draw_arms(pen: Pen, animal: Animal, pose: Pose) -> None:
    """Both arms, over the torso."""
    colour = animal.limbs or animal.fur
    for side in (-1, 1):
        pen.paint(colour, limb(0.095, *arm_points(animal, pose, side)))


def draw_hands(pen: Pen, animal: Animal, pose: Pose) -> None:
    """Both hands, over sleeves."""
    for side in (-1, 1):
        pen.paint(animal.limbs or animal.fur, oval(*arm_points(animal, pose, side)[2], 0.05, 0.05))


def draw_head(pen: Pen, animal: Animal) -> None:
    """Ears, head and face."""
    if animal.ears:
        animal.ears(pen, animal.fur)
    pen.paint(animal.fur, oval(*animal.head))
    animal.face(pen, animal.fur)
