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
TEXTURES = 8
BRUSH = 6.0


@dataclass(frozen=True)
class Medium:
    """Tones for scenery, animal and garment; outline colour and width (pixels at 128); finish."""

    scenery: Tone
    animal: Tone
    garment: Tone
    edge: Tone
    line: float
    finish: Finish


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with a `share` of `b` in it."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def grey(colour: Colour) -> int:
    """Luma of a colour, Rec. 601."""
    return round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])


def _same(colour: Colour) -> Colour:
    return colour


def _vivid(colour: Colour) -> Colour:
    g = grey(colour)
    return tuple(min(255, max(0, round(g + (c - g) * 1.25 + 8))) for c in colour)  # type: ignore[return-value]


def _rich(colour: Colour) -> Colour:
    return mix(mix(colour, (150, 95, 40), 0.14), (0, 0, 0), 0.08)


def _washed(colour: Colour) -> Colour:
    return mix(colour, (255, 255, 255), 0.42)


def _graphite(colour: Colour) -> Colour:
    g = 75 + grey(colour) * 175 // 255
    return (g, g, g)


def _pale_crayon(colour: Colour) -> Colour:
    return mix(mix(_graphite(colour), colour, 0.4), PAPER, 0.3)


def _darker(factor: float) -> Tone:
    return lambda colour: mix(colour, (15, 12, 20), factor)


def _ink(colour: Colour) -> Colour:
    return (12, 10, 14)


def _lead(colour: Colour) -> Colour:
    return (62, 62, 66)


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
    """(size, size) smooth noise in 0..255 with about `cells` bumps along each side."""
    small = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


@lru_cache(maxsize=256)
def _wash(size: int, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of paint (0 at the ragged rim of the sheet) and pigment density, (size, size, 1)."""
    rng = np.random.default_rng([size, which, 1])
    y, x = np.mgrid[0:size, 0:size] / (size - 1) * 2 - 1
    rim = (np.abs(x) ** 5 + np.abs(y) ** 5) ** 0.2 + (_noise(rng, size, 9) - 128) / 128 * 0.06
    share = np.clip((0.965 - rim) * 40, 0, 1)
    dark_rim = np.exp(-(((rim - 0.925) / 0.03) ** 2))
    density = 1 + (_noise(rng, size, 6) - 128) / 128 * 0.07 - 0.16 * dark_rim
    return share[..., None].astype(np.float32), density[..., None].astype(np.float32)


def _on_wet_paper(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    share, density = _wash(picture.shape[0], int(rng.integers(TEXTURES)))
    painted = np.minimum(picture * density, 255)
    paper = np.array(PAPER, dtype=np.float32)
    return (paper + (painted - paper) * share).astype(np.uint8)


@lru_cache(maxsize=256)
def _hatching(size: int, which: int) -> np.ndarray:
    """(size, size, 1) share of paper that shows between slanted pencil strokes."""
    rng = np.random.default_rng([size, which, 2])
    y, x = np.mgrid[0:size, 0:size] * (128 / size)
    wobble = (_noise(rng, size, 7) - 128) / 128
    lines = np.sin((x + y * 0.8 + wobble * 3 + rng.uniform(0, 6)) * 2 * np.pi / 8)
    return np.clip(lines * 0.4, 0, 0.3)[..., None].astype(np.float32)


def _hatched(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gaps = _hatching(picture.shape[0], int(rng.integers(TEXTURES)))
    paper = np.array(PAPER, dtype=np.float32)
    # Firm dark lines cover the paper's grain: only the shading in between shows it.
    firm = np.clip((picture.max(axis=2, keepdims=True) - 60.0) / 100, 0, 1)
    return (picture + (paper - picture) * (gaps * firm)).astype(np.uint8)


@lru_cache(maxsize=256)
def _strokes(size: int, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel's paint comes from (flat indices) and its light, both for broad strokes."""
    rng = np.random.default_rng([size, which, 3])
    y, x = np.mgrid[0:size, 0:size] * (128 / size)
    warp_x, warp_y = ((_noise(rng, size, 5) - 128) / 128 * 5 for _ in range(2))
    angle = rng.uniform(0.45, 0.75) * (1 if which % 2 else -1)
    along = (x + warp_x) * np.cos(angle) + (y + warp_y) * np.sin(angle)
    across = (y + warp_y) * np.cos(angle) - (x + warp_x) * np.sin(angle)
    row = np.floor(across / BRUSH)
    offset = rng.uniform(0, 18, 1024)[row.astype(int) % 1024]
    column = np.floor((along + offset) / 18)
    key = (row * 131 + column * 17).astype(int) % 1024
    shift_x, shift_y = rng.uniform(-0.8, 0.8, (2, 1024))
    source_x = np.clip((x + shift_x[key]) * size / 128, 0, size - 1).astype(int)
    source_y = np.clip((y + shift_y[key]) * size / 128, 0, size - 1).astype(int)
    ridge = np.abs(across / BRUSH - row - 0.5) * 2
    radius = np.hypot(x - 64, y - 64) / 90
    dab = rng.uniform(0.87, 1.13, 1024)[key]
    dab = (2 * dab + np.roll(dab, 1, 0) + np.roll(dab, 1, 1)) / 4
    light = dab * (1.05 - 0.2 * ridge**2) * (1.04 - 0.32 * radius**2.5)
    return source_y * size + source_x, light[..., None].astype(np.float32)


def _brushed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    source, light = _strokes(picture.shape[0], int(rng.integers(TEXTURES)))
    flat = picture.reshape(-1, 3)
    return np.minimum(flat[source] * light, 255).astype(np.uint8)


LOOKS: dict[str | None, Medium] = {
    None: Medium(_same, _same, _same, _darker(0.6), 1.0, _untouched),
    "cartoon": Medium(_vivid, _vivid, _same, _ink, 2.0, _framed),
    "watercolor painting": Medium(
        _washed,
        lambda c: mix(c, (255, 255, 255), 0.25),
        lambda c: mix(c, (255, 255, 255), 0.1),
        _darker(0.4),
        0.8,
        _on_wet_paper,
    ),
    "pencil sketch": Medium(
        _pale_crayon, _graphite, lambda c: mix(c, PAPER, 0.08), _lead, 1.1, _hatched
    ),
    "oil painting": Medium(
        _rich, _rich, lambda c: mix(c, (0, 0, 0), 0.05), _darker(0.72), 1.2, _brushed
    ),
}
