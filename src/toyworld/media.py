"""How each medium mixes its colours, draws its outlines and finishes the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from toyworld.pen import Colour

Tone = Callable[[Colour], Colour]
Finish = Callable[[np.ndarray, np.random.Generator], np.ndarray]
PAPER = (250, 247, 238)
TEXTURES = 2  # sheets a medium, which the autoencoder has to know by heart
HATCH = 4.0  # pixels of 128 between pencil strokes, along a row
BRUSH = 5.0  # pixels of 128 across a dab of oil paint


@dataclass(frozen=True)
class Medium:
    """Tones for scenery, animal and garment; outline colour and width (pixels at 128); finish.

    `shadow` is the share of dark blue in shadows, `depth` how wide they are (pixels at 128).
    """

    scenery: Tone
    animal: Tone
    garment: Tone
    edge: Tone
    line: float
    finish: Finish
    shadow: float = 0.2
    depth: float = 3.0


@lru_cache(maxsize=4096)
def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with a `share` of `b` in it."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def grey(colour: Colour) -> int:
    """Luma of a colour, Rec. 601."""
    return round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])


def _same(colour: Colour) -> Colour:
    return colour


def _far(colour: Colour) -> Colour:
    """Scenery is paler than what stands before it."""
    return mix(colour, (226, 234, 246), 0.28)


def _vivid(colour: Colour) -> Colour:
    g = grey(colour)
    return tuple(min(255, max(0, round(g + (c - g) * 1.25 + 8))) for c in colour)  # type: ignore[return-value]


def _rich(colour: Colour) -> Colour:
    return mix(mix(colour, (150, 95, 40), 0.14), (0, 0, 0), 0.04)


def _washed(colour: Colour) -> Colour:
    return mix(colour, (255, 255, 255), 0.3)


def _graphite(colour: Colour) -> Colour:
    g = 70 + grey(colour) * 180 // 255
    return (g, g, g)


def _sketched(colour: Colour) -> Colour:
    return mix(mix(_graphite(colour), colour, 0.35), PAPER, 0.35)


def _darker(factor: float) -> Tone:
    return lambda colour: mix(colour, (15, 12, 20), factor)


def _ink(colour: Colour) -> Colour:
    return (12, 10, 14)


def _lead(colour: Colour) -> Colour:
    return (58, 58, 62)


def _untouched(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return picture


def _framed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The black panel border of a comic strip inside a white gutter."""
    n = picture.shape[0]
    gutter, border = max(1, n // 43), max(1, n // 43)
    inside = gutter + border
    framed = np.full_like(picture, 255)
    framed[gutter : n - gutter, gutter : n - gutter] = (12, 10, 14)
    framed[inside : n - inside, inside : n - inside] = picture[
        inside : n - inside, inside : n - inside
    ]
    return framed


def _noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """(size, size) smooth noise in -1..1 with about `cells` bumps along each side."""
    small = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    large = small.resize((size, size), Image.Resampling.BICUBIC)
    return (np.asarray(large, dtype=np.float32) - 128) / 128


@lru_cache(maxsize=256)
def _wash(size: int, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of paint (0 at the ragged rim of the sheet) and pigment density, (size, size, 1)."""
    rng = np.random.default_rng([size, which, 1])
    y, x = np.mgrid[0:size, 0:size] / (size - 1) * 2 - 1
    rim = (np.abs(x) ** 6 + np.abs(y) ** 6) ** (1 / 6) + _noise(rng, size, 9) * 0.06
    share = np.clip((0.95 - rim) * 40, 0, 1)
    pooled = np.exp(-(((rim - 0.91) / 0.03) ** 2))
    density = 0.9 + _noise(rng, size, 5) * 0.3 + _noise(rng, size, 12) * 0.15 + 0.5 * pooled
    return share[..., None].astype(np.float32), density[..., None].astype(np.float32)


def _on_wet_paper(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Glazes on white paper: where the water carried more pigment the colour is deeper."""
    share, density = _wash(picture.shape[0], int(rng.integers(TEXTURES)))
    paper = np.array(PAPER, dtype=np.float32)
    painted = paper - (paper - picture) * density
    # Dark lines and white gaps are no glaze.
    darkest = np.minimum(np.minimum(picture[..., :1], picture[..., 1:2]), picture[..., 2:])
    dry = np.clip((darkest - 40.0) / 60, 0, 1)
    painted = picture + (painted - picture) * dry
    return np.clip(paper + (painted - paper) * share, 0, 255).astype(np.uint8)


@lru_cache(maxsize=256)
def _hatching(size: int, which: int) -> np.ndarray:
    """(size, size, 1): how much lead slanted strokes leave, 0.5 to 1.5 of a flat tone's."""
    rng = np.random.default_rng([size, which, 2])
    y, x = np.mgrid[0:size, 0:size] * (128 / size)
    sway, firm = _noise(rng, size, 5) * 0.8, 0.9 + 0.1 * _noise(rng, size, 10)
    lines = np.cos((x + 0.8 * y + sway) * 2 * np.pi / HATCH)
    return (1 + 0.5 * lines * firm)[..., None].astype(np.float32)


def _hatched(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tones as pencil strokes on white paper."""
    strokes = _hatching(picture.shape[0], int(rng.integers(TEXTURES)))
    paper = np.array(PAPER, dtype=np.float32)
    lead = paper - picture
    most = np.maximum(np.maximum(lead[..., :1], lead[..., 1:2]), lead[..., 2:])
    loose = np.clip((0.85 - most / 255) * 2.5, 0.25, 1)
    # Firm dark lines are no strokes.
    return np.clip(paper - lead * (1 + (strokes - 1) * loose), 0, 255).astype(np.uint8)


@lru_cache(maxsize=256)
def _strokes(size: int, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel's paint comes from (flat indices) and its light, both for broad strokes."""
    rng = np.random.default_rng([size, which, 3])
    y, x = np.mgrid[0:size, 0:size] * (128 / size)
    # A dab is a cell of a bent grid of bricks; its paint was picked up a little beside it.
    bend_x, bend_y = _noise(rng, size, 7) * 6, _noise(rng, size, 7) * 6
    along = (x + bend_x) * 0.86 + (y + bend_y) * 0.5
    across = (y + bend_y) * 0.86 - (x + bend_x) * 0.5
    row = np.floor(across / BRUSH)
    column = np.floor((along + (row % 2) * BRUSH) / (2 * BRUSH))
    key = (row * 131 + column * 17).astype(int) % 1024
    shift_x, shift_y = rng.uniform(-0.7, 0.7, (2, 1024))[:, key]
    source_x = np.clip((x + shift_x) * size / 128, 0, size - 1).astype(int)
    source_y = np.clip((y + shift_y) * size / 128, 0, size - 1).astype(int)
    ridge = np.cos((across / BRUSH - row - 0.5) * 2 * np.pi)
    light = 1.02 + rng.uniform(-0.09, 0.09, 1024)[key] + 0.035 * ridge
    light -= 0.16 * (np.hypot(x - 64, y - 64) / 90) ** 3
    return source_y * size + source_x, light[..., None].astype(np.float32)


def _brushed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    source, light = _strokes(picture.shape[0], int(rng.integers(TEXTURES)))
    flat = picture.reshape(-1, 3)
    return np.minimum(flat[source] * light, 255).astype(np.uint8)


LOOKS: dict[str | None, Medium] = {
    None: Medium(_far, _same, _same, _darker(0.72), 1.5, _untouched),
    "cartoon": Medium(_vivid, _vivid, _same, _ink, 2.2, _framed, shadow=0.28),
    "watercolor painting": Medium(
        _washed,
        lambda c: mix(c, (255, 255, 255), 0.18),
        lambda c: mix(c, (255, 255, 255), 0.06),
        _darker(0.45),
        1.1,
        _on_wet_paper,
        shadow=0.16,
    ),
    "pencil sketch": Medium(
        _sketched, _graphite, lambda c: mix(c, PAPER, 0.05), _lead, 1.4, _hatched, shadow=0.3
    ),
    "oil painting": Medium(
        _rich,
        _rich,
        lambda c: mix(c, (255, 255, 255), 0.04),
        _darker(0.76),
        1.5,
        _brushed,
        shadow=0.24,
    ),
}
