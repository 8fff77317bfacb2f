"""Sets of rendered scenes on disk, for training: `pictures.npy` and `scenes.json` in one folder."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from toyworld.render import render
from toyworld.world import Scene, sample_scene

SIZE = 128
CELLS = 8  # a side
_CHUNK = 250
# A garment drawn again in a colour far from its own differs just where it lies.
_FAR = {
    "red": "turquoise",
    "yellow": "blue",
    "green": "pink",
    "blue": "yellow",
    "purple": "yellow",
    "pink": "green",
    "brown": "turquoise",
    "black": "white",
    "white": "black",
    "turquoise": "red",
}
_DIFFERENT = 40  # of 255, in any of the three channels
_FILLED = 0.1  # share of a cell


def load_or_render(
    folder: Path, count: int, seed: int, workers: int | None = None
) -> tuple[np.ndarray, list[Scene]]:
    """`count` pictures of scenes allowed in training: a memory-mapped uint8 array of shape
    (count, 128, 128, 3), and their scenes. Rendered into `folder` if they are not there yet.

    Picture i depends on `seed` and i alone.
    """
    if not (folder / "scenes.json").exists():
        _render_all(folder, count, seed, workers or os.cpu_count() or 1)
    scenes = [Scene(**fields) for fields in json.loads((folder / "scenes.json").read_text())]
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    if len(pictures) != count:
        raise ValueError(f"{folder} holds {len(pictures)} pictures, not {count}: use another")
    return pictures, scenes


def draw(seed: int, number: int) -> tuple[np.ndarray, Scene]:
    """Picture `number` of the set `seed`: uint8 (128, 128, 3), and its scene."""
    rng = np.random.default_rng([seed, number])
    scene = sample_scene(rng)
    return render(scene, rng, SIZE), scene


def load_or_find_cells(folder: Path, count: int, seed: int, workers: int) -> np.ndarray:
    """Where the garments of the set lie: bool (count, 64), the cells of an 8 x 8 grid row by row.

    Found once, and kept beside the pictures.
    """
    path = folder / "cells.npy"
    if not path.exists():
        tasks = [(seed, start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            cells = np.concatenate(list(pool.map(_find_chunk, tasks)))
        temporary = path.with_suffix(".new.npy")
        np.save(temporary, cells)
        os.replace(temporary, path)
    return np.load(path)


def garment_cells(seed: int, number: int) -> np.ndarray:
    """Where the garment of picture `number` of the set `seed` lies: bool (64,)."""
    rng = np.random.default_rng([seed, number])
    scene = sample_scene(rng)
    state = rng.bit_generator.state
    picture = render(scene, rng, SIZE)
    rng.bit_generator.state = state
    other = render(replace(scene, colour=_FAR[scene.colour]), rng, SIZE)
    different = np.abs(picture.astype(np.int16) - other).max(axis=2) > _DIFFERENT
    side = SIZE // CELLS
    filled = different.reshape(CELLS, side, CELLS, side).mean(axis=(1, 3))
    return (filled > _FILLED).reshape(-1)


def _find_chunk(task: tuple[int, int, int]) -> np.ndarray:
    seed, start, stop = task
    return np.stack([garment_cells(seed, number) for number in range(start, stop)])


def _draw_chunk(task: tuple[int, int, int]) -> tuple[int, np.ndarray, list[Scene]]:
    seed, start, stop = task
    drawn = [draw(seed, number) for number in range(start, stop)]
    return start, np.stack([picture for picture, _ in drawn]), [scene for _, scene in drawn]


def _render_all(folder: Path, count: int, seed: int, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "pictures.new.npy"
    shape = (count, SIZE, SIZE, 3)
    pictures = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
    starts = range(0, count, _CHUNK)
    tasks = [(seed, start, min(start + _CHUNK, count)) for start in starts]
    scenes: list[Scene] = []
    # Spawn, since a forked child of a process with torch's threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for start, chunk, drawn in pool.map(_draw_chunk, tasks):
            pictures[start : start + len(chunk)] = chunk
            scenes.extend(drawn)
    pictures.flush()
    os.replace(temporary, folder / "pictures.npy")
    text = json.dumps([asdict(scene) for scene in scenes])
    (folder / "scenes.new").write_text(text)
    os.replace(folder / "scenes.new", folder / "scenes.json")
