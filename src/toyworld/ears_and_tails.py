"""Ears, manes, tails and coats, in the units of `anatomy`; every painter gets the fur's colour."""

from __future__ import annotations

from toyworld.anatomy import GIRAFFE_HEAD, PINK, WHITE, Painter
from toyworld.pen import Colour, Pen, Point, both, limb, mirrored, oval, shape


def plain_tail(width: float, *points: Point) -> Painter:
    """A tail of one thickness through `points`."""
    return lambda pen, fur: pen.paint(fur, limb(width, *points))


def round_ears(x: float, y: float, r: float, inner: Colour) -> Painter:
    """Two round ears with a lighter inside."""

    def ears(pen: Pen, fur: Colour) -> None:
        pen.paint(fur, *both(oval, x, y, r, r))
        pen.fill(inner, *both(oval, x, y, r * 0.6, r * 0.6))

    return ears


def pointed_ears(points: tuple[Point, ...], inner: Colour) -> Painter:
    """Two three-cornered ears, `points` being the one on the left."""
    mid = (sum(p[0] for p in points) / 3, sum(p[1] for p in points) / 3)
    small = [(mid[0] + (x - mid[0]) * 0.55, mid[1] + (y - mid[1]) * 0.55) for x, y in points]

    def ears(pen: Pen, fur: Colour) -> None:
        pen.paint(fur, shape(*points), shape(*mirrored(points)))
        pen.fill(inner, shape(*small), shape(*mirrored(small)))

    return ears


def rabbit_ears(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, *both(oval, 0.165, 0.045, 0.062, 0.185, 0.26))
    pen.fill(PINK, *both(oval, 0.165, 0.045, 0.032, 0.14, 0.26))


def fox_ears(pen: Pen, fur: Colour) -> None:
    ear = [(-0.28, 0.26), (-0.27, -0.03), (-0.06, 0.16)]
    tip = [(-0.274, 0.08), (-0.27, -0.03), (-0.175, 0.055)]
    pen.paint(fur, shape(*ear), shape(*mirrored(ear)))
    pen.fill((60, 35, 30), shape(*tip), shape(*mirrored(tip)))
    inner = [(-0.23, 0.2), (-0.22, 0.1), (-0.13, 0.16)]
    pen.fill(WHITE, shape(*inner), shape(*mirrored(inner)))


def owl_tufts(pen: Pen, fur: Colour) -> None:
    tuft = [(-0.27, 0.32), (-0.29, 0.07), (-0.08, 0.16)]
    pen.paint(fur, shape(*tuft), shape(*mirrored(tuft)))


def elephant_ears(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, *both(oval, 0.3, 0.32, 0.17, 0.2, 0.15))
    pen.fill((225, 175, 190), *both(oval, 0.31, 0.32, 0.115, 0.145, 0.15))


def frog_brows(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, *both(oval, 0.18, 0.185, 0.1, 0.1))


def lion_mane(pen: Pen, fur: Colour) -> None:
    mane = (160, 78, 20)
    scallops = [(0.3, 0.33), (0.26, 0.46), (0.26, 0.19), (0.15, 0.09), (0.14, 0.55)]
    parts = [oval(s * x, y, 0.1, 0.1) for x, y in scallops for s in (-1, 1)]
    pen.paint(mane, *parts, oval(0, 0.33, 0.31, 0.28))
    pen.paint(fur, *both(oval, 0.2, 0.155, 0.06, 0.06))


def giraffe_ears(pen: Pen, fur: Colour) -> None:
    pen = pen.at(0, GIRAFFE_HEAD)
    pen.paint(fur, *both(oval, 0.19, 0.115, 0.075, 0.036, -0.3))
    for side in (-1, 1):
        pen.paint(fur, limb(0.03, (side * 0.085, 0.06), (side * 0.15, -0.04)))
    pen.paint((110, 62, 28), *both(oval, 0.153, -0.045, 0.034, 0.034))


def giraffe_spots(pen: Pen, fur: Colour) -> None:
    neck = [(-0.04, 0.33), (0.04, 0.4), (-0.04, 0.47), (0.03, 0.56)]
    body = [(-0.09, 0.66), (0.07, 0.68), (-0.03, 0.77), (0.1, 0.81), (-0.11, 0.82), (0.02, 0.88)]
    pen.fill((165, 95, 40), *(oval(x, y, 0.042, 0.042) for x, y in neck + body))


def panda_ears(pen: Pen, fur: Colour) -> None:
    pen.paint((52, 52, 62), *both(oval, 0.205, 0.155, 0.085, 0.085))


def duck_tuft(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, limb(0.05, (0, 0.15), (-0.03, 0.08)), limb(0.05, (0.02, 0.15), (0.05, 0.075)))


def fox_tail(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, oval(0.29, 0.77, 0.095, 0.2, 0.35), limb(0.08, (0.1, 0.88), (0.25, 0.86)))
    pen.fill(WHITE, oval(0.345, 0.635, 0.062, 0.075, 0.35))


def owl_tail(pen: Pen, fur: Colour) -> None:
    pen.paint((100, 66, 40), shape((-0.1, 0.85), (0.1, 0.85), (0.13, 0.98), (-0.13, 0.98)))


def pig_tail(pen: Pen, fur: Colour) -> None:
    curl = (
        (0.15, 0.85),
        (0.25, 0.84),
        (0.29, 0.78),
        (0.25, 0.74),
        (0.22, 0.79),
        (0.27, 0.85),
        (0.33, 0.84),
    )
    pen.paint(fur, limb(0.03, *curl))


def lion_tail(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, limb(0.04, (0.12, 0.88), (0.28, 0.88), (0.36, 0.78), (0.35, 0.68)))
    pen.paint((160, 78, 20), oval(0.35, 0.645, 0.055, 0.07))


def mouse_tail(pen: Pen, fur: Colour) -> None:
    pen.paint(PINK, limb(0.028, (0.1, 0.9), (0.24, 0.93), (0.34, 0.88), (0.35, 0.77), (0.41, 0.71)))


def giraffe_tail(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, limb(0.03, (0.12, 0.84), (0.27, 0.86), (0.3, 0.78)))
    pen.paint((120, 70, 30), oval(0.3, 0.76, 0.03, 0.045))


def duck_tail(pen: Pen, fur: Colour) -> None:
    pen.paint(fur, shape((0.05, 0.9), (0.32, 0.72), (0.27, 0.9)))


def rabbit_tail(pen: Pen, fur: Colour) -> None:
    pen.paint(WHITE, oval(0.2, 0.86, 0.075, 0.075))
