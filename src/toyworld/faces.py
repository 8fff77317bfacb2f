"""What makes each animal's face, in the units of `anatomy`; every painter gets the fur's colour."""

from __future__ import annotations

from toyworld.anatomy import BEAK, GIRAFFE_HEAD, INK, PINK, WHITE
from toyworld.pen import Colour, Pen, both, bow, limb, mirrored, oval, shape


def _eyes(pen: Pen, x: float, y: float, r: float = 0.045) -> None:
    pen.fill(INK, *both(oval, x, y, r, r * 1.15))
    pen.fill(
        WHITE,
        oval(x - 0.012, y - 0.018, r * 0.4, r * 0.4),
        oval(-x - 0.012, y - 0.018, r * 0.4, r * 0.4),
    )


def _round_eyes(pen: Pen, x: float, y: float, r: float, iris: Colour) -> None:
    pen.paint(iris, *both(oval, x, y, r, r), edge=INK)
    pen.fill(INK, *both(oval, x, y, r * 0.6, r * 0.6))
    pen.fill(
        WHITE,
        oval(x - 0.012, y - 0.014, r * 0.26, r * 0.26),
        oval(-x - 0.012, y - 0.014, r * 0.26, r * 0.26),
    )


def _muzzle(
    pen: Pen, colour: Colour, y: float, rx: float, ry: float, nose: Colour, size: float
) -> None:
    pen.paint(colour, oval(0, y, rx, ry))
    pen.fill(
        INK,
        limb(0.018, (0, y), (0, y + ry * 0.45)),
        limb(0.018, *bow(5, -0.06, 0.06, y + ry * 0.4, 0.028)),
    )
    pen.fill(nose, oval(0, y - ry * 0.45, size, size * 0.72))


def _whiskers(pen: Pen, y: float, inner: float, outer: float) -> None:
    for side in (-1, 1):
        for lift in (-0.03, 0.03):
            pen.fill(INK, limb(0.016, (side * inner, y + lift * 0.4), (side * outer, y + lift)))


def cat(pen: Pen, fur: Colour) -> None:
    for x in (-0.06, 0, 0.06):
        pen.fill((62, 66, 80), limb(0.022, (x, 0.145 + abs(x) * 0.2), (x * 0.8, 0.215)))
    _whiskers(pen, 0.42, 0.1, 0.34)
    pen.paint((130, 215, 90), *both(oval, 0.115, 0.315, 0.056, 0.056), edge=INK)
    pen.fill(INK, *both(oval, 0.115, 0.315, 0.02, 0.05))
    pen.fill(WHITE, *both(oval, 0.045, 0.425, 0.06, 0.048))
    pen.fill(PINK, shape((-0.035, 0.378), (0.035, 0.378), (0, 0.415)))
    pen.fill(
        INK, limb(0.018, (-0.06, 0.45), (-0.02, 0.465), (0, 0.42), (0.02, 0.465), (0.06, 0.45))
    )


def dog(pen: Pen, fur: Colour) -> None:
    brown = (105, 62, 35)
    pen.fill(brown, oval(-0.115, 0.29, 0.085, 0.1))
    _eyes(pen, 0.105, 0.3)
    pen.paint((235, 75, 95), oval(0.0, 0.50, 0.042, 0.06))
    pen.paint((250, 235, 215), oval(0, 0.425, 0.125, 0.08))
    pen.fill(INK, oval(0, 0.385, 0.058, 0.042), limb(0.018, *bow(6, -0.09, 0.09, 0.455, 0.03)))
    # Hanging ears lie over the head.
    pen.paint((105, 62, 35), *both(oval, 0.265, 0.36, 0.075, 0.17, -0.25))


def rabbit(pen: Pen, fur: Colour) -> None:
    _eyes(pen, 0.11, 0.315, 0.048)
    pen.fill((250, 190, 200), *both(oval, 0.165, 0.41, 0.045, 0.032))
    pen.fill(PINK, oval(0, 0.385, 0.038, 0.028))
    pen.paint(WHITE, shape((-0.04, 0.44), (0.04, 0.44), (0.034, 0.505), (-0.034, 0.505)))
    pen.fill(INK, limb(0.018, *bow(7, -0.08, 0.08, 0.425, 0.02)))


def bear(pen: Pen, fur: Colour) -> None:
    _eyes(pen, 0.1, 0.29, 0.038)
    _muzzle(pen, (240, 210, 165), 0.425, 0.12, 0.09, INK, 0.052)


def fox(pen: Pen, fur: Colour) -> None:
    jaw = [
        (-0.31, 0.36),
        (-0.2, 0.19),
        (0.2, 0.19),
        (0.31, 0.36),
        (0.1, 0.5),
        (0, 0.565),
        (-0.1, 0.5),
    ]
    pen.paint(fur, shape(*jaw), oval(0, 0.26, 0.22, 0.12))
    cheek = [(-0.29, 0.37), (-0.1, 0.36), (0, 0.46), (0, 0.55), (-0.1, 0.49)]
    pen.fill(WHITE, shape(*cheek), shape(*mirrored(cheek)))
    _eyes(pen, 0.11, 0.315, 0.042)
    pen.fill(INK, oval(0, 0.535, 0.048, 0.038))


def owl(pen: Pen, fur: Colour) -> None:
    pen.fill((245, 225, 190), *both(oval, 0.12, 0.33, 0.135, 0.135))
    _round_eyes(pen, 0.12, 0.325, 0.09, (255, 205, 40))
    pen.paint(BEAK, shape((-0.045, 0.39), (0.045, 0.39), (0, 0.475)))


def penguin(pen: Pen, fur: Colour) -> None:
    pen.fill(WHITE, *both(oval, 0.085, 0.355, 0.115, 0.125), oval(0, 0.43, 0.15, 0.085))
    _eyes(pen, 0.09, 0.315, 0.04)
    pen.paint(BEAK, shape((-0.085, 0.385), (0.085, 0.385), (0, 0.46)))


def elephant(pen: Pen, fur: Colour) -> None:
    _eyes(pen, 0.125, 0.28, 0.038)
    pen.paint(
        WHITE, limb(0.042, (-0.1, 0.41), (-0.125, 0.475)), limb(0.042, (0.1, 0.41), (0.125, 0.475))
    )
    trunk = (
        (0, 0.33),
        (0.0, 0.42),
        (0.012, 0.5),
        (0.05, 0.55),
        (0.11, 0.565),
        (0.165, 0.54),
        (0.19, 0.49),
    )
    pen.paint(fur, limb(0.1, *trunk))
    pen.fill(fur, oval(0, 0.32, 0.09, 0.06))
    for y in (0.4, 0.45, 0.5):
        pen.fill((100, 112, 138), limb(0.016, (-0.03, y), (0.04, y)))


def pig(pen: Pen, fur: Colour) -> None:
    _eyes(pen, 0.125, 0.295, 0.038)
    pen.paint((238, 120, 140), oval(0, 0.405, 0.105, 0.078))
    pen.fill((130, 40, 60), *both(oval, 0.038, 0.405, 0.02, 0.036))
    pen.fill(INK, limb(0.018, *bow(5, -0.06, 0.06, 0.495, 0.02)))


def frog(pen: Pen, fur: Colour) -> None:
    pen.fill((222, 242, 150), oval(0, 0.445, 0.2, 0.07))
    pen.fill(
        (40, 70, 30),
        limb(0.02, *bow(9, -0.23, 0.23, 0.385, 0.062)),
        *both(oval, 0.035, 0.33, 0.012, 0.01),
    )
    pen.fill((250, 150, 150), *both(oval, 0.235, 0.36, 0.035, 0.025))
    _round_eyes(pen, 0.18, 0.175, 0.07, WHITE)


def lion(pen: Pen, fur: Colour) -> None:
    _eyes(pen, 0.095, 0.295, 0.038)
    _muzzle(pen, (255, 240, 205), 0.42, 0.105, 0.078, (110, 50, 30), 0.05)


def mouse(pen: Pen, fur: Colour) -> None:
    _whiskers(pen, 0.43, 0.08, 0.28)
    _eyes(pen, 0.085, 0.34, 0.04)
    pen.fill((235, 225, 218), oval(0, 0.44, 0.08, 0.06))
    pen.fill((240, 110, 140), oval(0, 0.42, 0.042, 0.034))
    pen.fill(INK, limb(0.018, *bow(5, -0.04, 0.04, 0.465, 0.02)))


def giraffe(pen: Pen, fur: Colour) -> None:
    pen = pen.at(0, GIRAFFE_HEAD)
    _eyes(pen, 0.085, 0.105, 0.036)
    pen.paint((250, 228, 180), oval(0, 0.225, 0.115, 0.08))
    pen.fill(
        (120, 75, 45),
        *both(oval, 0.045, 0.205, 0.018, 0.014),
        limb(0.018, *bow(5, -0.06, 0.06, 0.25, 0.022)),
    )


def panda(pen: Pen, fur: Colour) -> None:
    pen.fill((30, 30, 36), *both(oval, 0.115, 0.315, 0.07, 0.088, 0.5))
    pen.fill(WHITE, *both(oval, 0.105, 0.31, 0.04, 0.043))
    pen.fill(INK, *both(oval, 0.1, 0.315, 0.028, 0.031))
    pen.fill(INK, oval(0, 0.405, 0.05, 0.035), limb(0.018, *bow(6, -0.06, 0.06, 0.445, 0.03)))


def duck(pen: Pen, fur: Colour) -> None:
    _eyes(pen, 0.105, 0.285, 0.042)
    pen.paint(BEAK, oval(0, 0.42, 0.155, 0.052), oval(0, 0.385, 0.085, 0.05))
    pen.fill(
        (160, 75, 10),
        limb(0.018, *bow(7, -0.13, 0.13, 0.415, 0.025)),
        *both(oval, 0.03, 0.37, 0.012, 0.009),
    )


def monkey(pen: Pen, fur: Colour) -> None:
    tan = (240, 195, 150)
    pen.fill(tan, *both(oval, 0.08, 0.3, 0.1, 0.1), oval(0, 0.43, 0.17, 0.095))
    _eyes(pen, 0.08, 0.305, 0.04)
    pen.fill((110, 60, 40), *both(oval, 0.025, 0.39, 0.015, 0.012))
    pen.fill((110, 40, 35), limb(0.018, *bow(7, -0.1, 0.1, 0.44, 0.045)))
