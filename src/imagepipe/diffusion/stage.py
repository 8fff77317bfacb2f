"""The stage that draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from imagepipe.config import Model
from imagepipe.diffusion import ImageGenerator, recipe
from imagepipe.prompts.template import row_seed
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage

OUT_OF_MEMORY_HINT = (
    "draw smaller (model.width, model.height), with model.offload=model or model.vae_tiling=true, "
    "or on more of a GPU (resources.model.num_gpus)"
)
BLACK = (
    "the picture came out black, as a safety checker or a number that is none leaves it; "
    "model.dtype=float32 or bfloat16 may help"
)


def stage(model: Model, *, run_seed: int, id_column: str) -> Stage:
    """The stage that draws: adds `image`, uint8 (images_per_prompt, height, width, 3) a row.

    Also `drawn_at` (as `time.time()`), `prompt_cut` (bool) and `unknown_words` (comma-separated;
    null: none). A black picture fails its row: it is what a NaN or a safety checker leaves.
    """
    shape = (model.images_per_prompt, model.height, model.width, 3)
    adds = pa.schema(
        [
            ("image", pa.fixed_shape_tensor(pa.uint8(), shape)),
            ("drawn_at", pa.float64()),
            ("prompt_cut", pa.bool_()),
            ("unknown_words", pa.string()),
        ]
    )
    work = partial(_worker, recipe(model), model, run_seed, id_column)
    return Stage("model", (id_column, "prompt"), adds, work, out_of_memory_hint=OUT_OF_MEMORY_HINT)


def _worker(
    make: Callable[[], ImageGenerator], model: Model, run_seed: int, id_column: str
) -> Callable[[pa.Table], Columns]:
    generator = make()
    generator.load()
    each = model.images_per_prompt

    def work(rows: pa.Table) -> Columns:
        ids, prompts = map(str, rows[id_column].to_pylist()), rows["prompt"].to_pylist()
        seeds = [row_seed(run_seed, id_, k) for id_ in ids for k in range(each)]
        repeated = [prompt for prompt in prompts for _ in range(each)]
        parts = [  # never more pictures at once than the batch size says
            generator.paint(repeated[i : i + len(prompts)], seeds[i : i + len(prompts)])
            for i in range(0, len(repeated), len(prompts))
        ]
        images = np.asarray(parts[0]) if each == 1 else np.concatenate(parts)  # which copies
        black = _are_black(images).reshape(len(prompts), each)
        return {
            "image": images.reshape(len(prompts), each, model.height, model.width, 3),
            "drawn_at": [time.time()] * len(prompts),
            "prompt_cut": [generator.is_cut(prompt) for prompt in prompts],
            "unknown_words": [", ".join(generator.unknown_words(p)) or None for p in prompts],
            FAILED_REASON: [BLACK if any(row) else None for row in black],
        }

    return work


def _are_black(pictures: np.ndarray) -> np.ndarray:
    """bool (n,) of uint8 (n, height, width, 3). The first line tells most: a GPU waits for this."""
    light: np.ndarray = np.asarray(pictures[:, 0].any(axis=(1, 2)))
    light[~light] = pictures[~light].any(axis=(1, 2, 3))
    return ~light
