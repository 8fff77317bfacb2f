"""From a scene to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from toyworld.anatomy import Pose, draw_arms, draw_body, draw_hands, draw_head
from toyworld.animals import ANIMAL_LOOKS
from toyworld.garments import BEHIND, COLOUR_VALUES, ON_ARMS, ON_TOP, ON_TORSO, SLEEVED, Painter
from toyworld.media import LOOKS, Medium, mix
from toyworld.pen import Colour, Pen, oval
from toyworld.scenery import draw_scenery
from toyworld.world import Scene

OVERSAMPLING = 3
RIM_LIGHT: Colour = (150, 150, 162)
SHADOW: Colour = (24, 18, 66)


def render(scene: Scene, rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """The scene as an RGB picture, (size, size, 3) uint8; pose and place are drawn from `rng`."""
    medium = LOOKS[scene.medium]
    side = size * OVERSAMPLING
    canvas = Image.new("RGB", (side, side))
    draw = ImageDraw.Draw(canvas)
    width = max(1.0, medium.line * side / 128)
    pen = Pen(draw, (0, 0), side, width * 0.6, medium.scenery, _pale(medium))
    draw_scenery(pen, scene.season, rng)
    lit = replace(
        pen,
        line=width,
        edge=medium.edge,
        shadow=lambda c: mix(c, SHADOW, medium.shadow),
        depth=medium.depth * side / 128,
    )
    _draw_figure(lit, canvas, scene, medium, rng)
    return medium.finish(np.asarray(canvas.reduce(OVERSAMPLING)), rng)


def _pale(medium: Medium) -> Callable[[Colour], Colour]:
    """Outlines of the scenery: between its colour and the figure's outline."""
    return lambda c: mix(medium.edge(c), medium.scenery(c), 0.35)


def _draw_figure(
    pen: Pen, canvas: Image.Image, scene: Scene, medium: Medium, rng: np.random.Generator
) -> None:
    animal, colour = ANIMAL_LOOKS[scene.animal], COLOUR_VALUES[scene.colour]
    height = rng.uniform(0.75, 0.82)
    foot = rng.uniform(0.93, 0.955)
    pose = Pose(arm=rng.uniform(-0.02, 0.16), step=rng.uniform(-0.01, 0.03))
    body = replace(
        pen,
        origin=((rng.uniform(0.46, 0.54)) * pen.unit, (foot - height) * pen.unit),
        unit=height * pen.unit,
        turn=rng.uniform(-0.05, 0.05),
        mirror=1 if rng.random() < 0.5 else -1,
        tone=medium.animal,
    )
    cloth = replace(
        body,
        line=pen.line * (0.8 if scene.colour == "black" else 1.15),
        tone=medium.garment,
        edge=_garment_edge(scene.colour, medium),
    )

    def wear(painters: dict[str, Painter]) -> None:
        if scene.garment in painters:
            painters[scene.garment](cloth, animal, pose, colour)

    _draw_shadow(body, canvas)
    wear(BEHIND)
    draw_body(body, animal, pose)
    wear(ON_TORSO)
    draw_arms(body, animal, pose)
    wear(ON_ARMS)
    if scene.garment in SLEEVED:
        draw_hands(body, animal, pose)
    draw_head(body, animal)
    wear(ON_TOP)


def _draw_shadow(pen: Pen, canvas: Image.Image) -> None:
    """A shadow on the ground below the feet."""
    glass = replace(pen, draw=ImageDraw.Draw(canvas, "RGBA"))
    oval(0.02, 0.985, 0.3, 0.045)(glass, (*SHADOW, 75), 0.0)


def _garment_edge(colour: str, medium: Medium) -> Callable[[Colour], Colour]:
    """Dark around every garment, so that white shows on snow; light around black, so that it shows
    on black fur."""
    if colour == "black":
        return lambda _: RIM_LIGHT
    return lambda c: medium.edge((70, 60, 70)) if colour == "white" else medium.edge(c)
