"""Outlined vector shapes on a Pillow canvas, in the coordinates of what is being drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import ImageDraw

Colour = tuple[int, int, int]
Ink = Colour | tuple[int, int, int, int]
"""A colour, or one with its opacity, for a canvas that blends."""
Point = tuple[float, float]
Part = Callable[["Pen", Ink, float], None]
"""Paints one shape in a colour, grown (or shrunk) on all sides by a number of canvas pixels.

Nothing shrinks by more than a third, so that small shapes stay.
"""

LEAST = 2 / 3
_CIRCLE = [(math.cos(math.tau * k / 28), math.sin(math.tau * k / 28)) for k in range(28)]


@dataclass(frozen=True)
class Pen:
    """Draws in units of `unit` canvas pixels from `origin`, turned by `turn` radians.

    `mirror` is -1 to swap left and right. `tone` turns a shape's plain colour into the medium's,
    `edge` a plain colour into that of its outline; `line` is the outline's width in canvas pixels.
    What is painted is lit from the upper left: along its lower right runs a crescent of the colour
    that `shadow` makes of its own, `depth` canvas pixels wide (none when 0).
    """

    draw: ImageDraw.ImageDraw
    origin: Point
    unit: float
    line: float
    tone: Callable[[Colour], Colour]
    edge: Callable[[Colour], Colour]
    turn: float = 0.0
    mirror: int = 1
    shadow: Callable[[Colour], Colour] = lambda colour: colour
    depth: float = 0.0

    def at(self, x: float, y: float) -> Pen:
        """The same pen with its origin moved to (x, y) of the present coordinates."""
        return replace(self, origin=self.place(x, y))

    def place(self, x: float, y: float) -> Point:
        """Canvas pixel of a point in units."""
        cos, sin = math.cos(self.turn) * self.unit, math.sin(self.turn) * self.unit
        x *= self.mirror
        return self.origin[0] + x * cos - y * sin, self.origin[1] + x * sin + y * cos

    def places(self, points: Sequence[Point]) -> list[Point]:
        """Canvas pixels of several points in units."""
        cos, sin = math.cos(self.turn) * self.unit, math.sin(self.turn) * self.unit
        ox, oy, m = *self.origin, self.mirror
        return [(ox + m * x * cos - y * sin, oy + m * x * sin + y * cos) for x, y in points]

    def paint(self, colour: Colour, *parts: Part, edge: Colour | None = None) -> None:
        """The union of `parts` with one outline around it, lit."""
        self._all(parts, self.edge(edge or colour), self.line)
        if self.depth:
            self._all(parts, self.tone(self.shadow(colour)), 0.0)
            x, y = self.origin
            lit = replace(self, origin=(x - self.depth * 0.55, y - self.depth * 0.55))
            lit._all(parts, self.tone(colour), -self.depth)
        else:
            self._all(parts, self.tone(colour), 0.0)

    def fill(self, colour: Colour, *parts: Part) -> None:
        """`parts` without an outline."""
        self._all(parts, self.tone(colour), 0.0)

    def _all(self, parts: Sequence[Part], ink: Ink, grow: float) -> None:
        for part in parts:
            part(self, ink, grow)


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Part:
    """An ellipse about (x, y) with radii in units, turned clockwise by `turn` radians."""

    def part(pen: Pen, ink: Ink, grow: float) -> None:
        a, b = (max(r + grow / pen.unit, r * LEAST) for r in (rx, ry))
        cx, cy = pen.place(x, y)
        # Of a mirrored pen the turn is mirrored too.
        tilt = pen.turn + pen.mirror * turn
        cos, sin = math.cos(tilt) * pen.unit, math.sin(tilt) * pen.unit
        ac, as_, bc, bs = a * cos, a * sin, b * cos, b * sin
        points = [(cx + ac * c - bs * s, cy + as_ * c + bc * s) for c, s in _CIRCLE]
        pen.draw.polygon(points, fill=ink)

    return part


def shape(*points: Point) -> Part:
    """A polygon whose corners are rounded by its outline; it shrinks towards its middle."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    half = min(max(xs) - min(xs), max(ys) - min(ys)) / 2
    mx, my = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2

    def part(pen: Pen, ink: Ink, grow: float) -> None:
        k = max(LEAST, 1 + grow / (pen.unit * half)) if grow < 0 else 1.0
        shrunk = points if k == 1 else [(mx + (x - mx) * k, my + (y - my) * k) for x, y in points]
        places = pen.places(shrunk)
        pen.draw.polygon(places, fill=ink)
        if grow > 0:
            closed = [*places, places[0], places[1]]
            pen.draw.line(closed, fill=ink, width=round(2 * grow), joint="curve")

    return part


def limb(width: float, *points: Point) -> Part:
    """A thick path with round joints and ends."""

    def part(pen: Pen, ink: Ink, grow: float) -> None:
        thick = max(width * pen.unit + 2 * grow, width * pen.unit * LEAST)
        places, r = pen.places(points), thick / 2
        pen.draw.line(places, fill=ink, width=max(1, round(thick)))
        if thick > 3:
            for x, y in places:
                pen.draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)

    return part


def both(make: Callable[..., Part], *args: float) -> tuple[Part, Part]:
    """An oval and its mirror image about x = 0."""
    x, *rest = args
    if len(rest) == 4:
        return make(x, *rest), make(-x, *rest[:3], -rest[3])
    return make(x, *rest), make(-x, *rest)


def mirrored(points: Sequence[Point]) -> list[Point]:
    """The points with x negated."""
    return [(-x, y) for x, y in points]


def bow(points: int, x0: float, x1: float, y: float, depth: float) -> list[Point]:
    """A sagging curve from (x0, y) to (x1, y), lowest, by `depth`, in its middle."""
    steps = [k / (points - 1) for k in range(points)]
    return [(x0 + (x1 - x0) * t, y + depth * 4 * t * (1 - t)) for t in steps]
