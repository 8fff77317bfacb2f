"""The stage that draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from imagepipe.config import Model
from imagepipe.diffusion import ImageGenerator, painted, recipe
from imagepipe.diffusion.inputs import PIXELS_OF
from imagepipe.diffusion.rows import RowSettings, together
from imagepipe.prompts import seeds
from imagepipe.stages.pictures import PIXELS, pictures, pixels
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage

OUT_OF_MEMORY_HINT = (
    "draw smaller (model.width, model.height), with model.offload=model or model.vae_tiling=true, "
    "or on more of a GPU (resources.model.num_gpus)"
)
BLACK = (
    "the picture came out black, as a safety checker or a number that is none leaves it; "
    "model.dtype=float32 or bfloat16 may help"
)

Pictures = Mapping[str, np.ndarray]  # what goes in, by keys of `model.columns`


def stage(settings: RowSettings, *, run_seed: int, id_column: str) -> Stage:
    """The stage that draws: adds `image`, uint8 (images_per_prompt, height, width, 3) a row, or
    PIXELS where rows have a size of their own.

    Also `drawn_at` (as `time.time()`), `prompt_cut` (bool) and `unknown_words` (comma-separated;
    null: none). A black picture fails its row: it is what a NaN or a safety checker leaves. So
    does a cell that cannot be what `settings` take it for. The pictures that go in, which
    `inputs.stage` has read, go no further.
    """
    model = settings.model
    shape = (model.images_per_prompt, model.height, model.width, 3)
    fixed = pa.fixed_shape_tensor(pa.uint8(), shape)
    adds = pa.schema(
        [
            ("image", PIXELS if settings.varies_in_size else fixed),
            ("drawn_at", pa.float64()),
            ("prompt_cut", pa.bool_()),
            ("unknown_words", pa.string()),
        ]
    )
    own = [] if settings.seed is None else [settings.seed]
    held = tuple(PIXELS_OF.format(key) for key in settings.pictures)
    reads = dict.fromkeys((id_column, "prompt", "seed", *own, *settings.columns.values(), *held))
    seeds_of = partial(
        seeds.of_pictures,
        run_seed=run_seed,
        id_column=id_column,
        each=model.images_per_prompt,
        seed_column=settings.seed,
    )
    work = partial(_worker, recipe(model), settings, seeds_of)
    hint = OUT_OF_MEMORY_HINT
    return Stage("model", tuple(reads), adds, work, out_of_memory_hint=hint, drops=held)


def _worker(
    make: Callable[[], ImageGenerator],
    settings: RowSettings,
    seeds_of: Callable[[pa.Table], list[int]],
) -> Callable[[pa.Table], Columns]:
    generator = make()
    generator.load()
    return _Drawer(generator, settings, seeds_of)


class _Drawer:
    """Draws batches with a loaded generator."""

    def __init__(
        self,
        generator: ImageGenerator,
        settings: RowSettings,
        seeds_of: Callable[[pa.Table], list[int]],
    ) -> None:
        self.generator, self.settings, self.seeds_of = generator, settings, seeds_of
        self.each, self.as_drawn = settings.model.images_per_prompt, settings.maker()

    def __call__(self, rows: pa.Table) -> Columns:
        prompts, seeds = rows["prompt"].to_pylist(), self.seeds_of(rows)
        if self.settings.columns:
            made = [self.as_drawn(cells) for cells in self.settings.cells(rows)]
            models = [one for one, _ in made]
            images: Any
            images, failed = self._by_settings(models, prompts, seeds, self._pictures(rows))
            reasons = [why or other for (_, why), other in zip(made, failed, strict=True)]
        else:
            images, reasons = self._draw(prompts, seeds, None, self._pictures(rows))
        black = _are_black(images)
        return {
            "image": self._column(images),
            "drawn_at": [time.time()] * len(prompts),
            "prompt_cut": [self.generator.is_cut(prompt) for prompt in prompts],
            "unknown_words": [
                ", ".join(self.generator.unknown_words(prompt)) or None for prompt in prompts
            ],
            FAILED_REASON: [
                why or (BLACK if is_black else None)
                for why, is_black in zip(reasons, black, strict=True)
            ],
        }

    def _draw(
        self,
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model] | None,
        going_in: list[Pictures],
    ) -> tuple[np.ndarray, list[str | None]]:
        """uint8 (rows, each, height, width, 3), never more pictures at once than rows; and of each
        row why one of its pictures could not be drawn.
        """
        repeated = [prompt for prompt in prompts for _ in range(self.each)]
        models = [one for one in drawn or () for _ in range(self.each)]
        inside = [one for one in going_in for _ in range(self.each)]
        parts = []
        for start in range(0, len(repeated), len(prompts)):
            some = slice(start, start + len(prompts))
            own = () if drawn is None else (models[some],)  # an engine need not know of them
            more: dict[str, Any] = {"pictures": inside[some]} if inside else {}
            found = self.generator.paint(repeated[some], seeds[some], *own, **more)
            parts.append(painted(found))
        drawn_now = [part.images for part in parts]
        images = drawn_now[0] if self.each == 1 else np.concatenate(drawn_now)  # which copies
        reasons = np.array([why for part in parts for why in part.reasons], object)
        of_rows = [next(filter(None, some), None) for some in reasons.reshape(-1, self.each)]
        return images.reshape(len(prompts), self.each, *images.shape[1:]), of_rows

    def _by_settings(
        self,
        models: list[Model | None],
        prompts: list[str],
        seeds: list[int],
        going_in: list[Pictures],
    ) -> tuple[list[np.ndarray | None], list[str | None]]:
        """Each row's pictures, null if it has no settings; those that agree drawn together. And
        why one of them could not be drawn.
        """
        images: list[np.ndarray | None] = [None] * len(models)
        reasons: list[str | None] = [None] * len(models)
        for places, drawn in _alike(models):
            numbers = [seeds[place * self.each + k] for place in places for k in range(self.each)]
            inside = [going_in[place] for place in places] if going_in else []
            found = self._draw([prompts[place] for place in places], numbers, drawn, inside)
            for place, picture, why in zip(places, *found, strict=True):
                images[place], reasons[place] = picture, why
        return images, reasons

    def _pictures(self, rows: pa.Table) -> list[Pictures]:
        """What goes into the pictures of each row; of one without settings nothing. Empty where
        nothing does.
        """
        keys = list(self.settings.pictures)
        columns = [pictures(rows[PIXELS_OF.format(key)]) for key in keys]
        return [
            {key: cell[0] for key, cell in zip(keys, of_row, strict=True) if len(cell)}
            for of_row in zip(*columns, strict=True)
        ]

    def _column(self, images: Any) -> Any:
        if self.settings.varies_in_size:
            return [None if one is None else pixels(one) for one in images]
        if isinstance(images, np.ndarray):
            return images
        model = self.settings.model
        none = np.zeros((self.each, model.height, model.width, 3), np.uint8)
        return np.stack([none if one is None else one for one in images])


def _alike(models: list[Model | None]) -> list[tuple[list[int], list[Model]]]:
    """Those that can be drawn together, with their places; a null is in none of them."""
    groups: list[tuple[Model, list[int], list[Model]]] = []
    known: dict[int, tuple[Model, list[int], list[Model]]] = {}  # to compare each object once
    for place, one in enumerate(models):
        if one is None:
            continue
        if id(one) not in known:
            shared = together(one)
            like = next((group for group in groups if group[0] == shared), None)
            if like is None:
                groups.append(like := (shared, [], []))
            known[id(one)] = like
        _, places, drawn = known[id(one)]
        places.append(place)
        drawn.append(one)
    return [(places, drawn) for _, places, drawn in groups]


def _are_black(images: np.ndarray | list[np.ndarray | None]) -> list[bool]:
    """For each row whether one of its pictures is black."""
    if isinstance(images, np.ndarray):
        black = is_black(images.reshape(-1, *images.shape[2:]))
        return [bool(of_row.any()) for of_row in black.reshape(len(images), -1)]
    return [one is not None and bool(is_black(one).any()) for one in images]


def is_black(pictures: np.ndarray) -> np.ndarray:
    """bool (n,) of uint8 (n, height, width, 3). Checks the first line first, because a GPU waits
    for this.
    """
    light: np.ndarray = np.asarray(pictures[:, 0].any(axis=(1, 2)))
    light[~light] = pictures[~light].any(axis=(1, 2, 3))
    return ~light
