"""The stage that scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.scoring import ImageScorer, recipe
from imagepipe.stages.stage import Columns, Stage, arrays, lost_gpu, reason

NO_NUMBER = "the scorer gave a number that is none"
OUT_OF_MEMORY_HINT = "give it more of a GPU (resources.scorer.num_gpus)"


def stage(scorer: Scorer, each: int) -> Stage:
    """The stage that adds `score`: for a row of `each` pictures a list of `each` float32.

    It reads the whole prompt, as the model did. A score that is no finite number is null, and
    those of a row that the scorer fails with are: the pictures are drawn by then, and kept.
    `scorer_error` says why (text; null where all have a score).
    """
    adds = pa.schema([("score", pa.list_(pa.float32(), each)), ("scorer_error", pa.string())])
    work = partial(_worker, recipe(scorer), each)
    return Stage("scorer", ("image", "prompt"), adds, work, out_of_memory_hint=OUT_OF_MEMORY_HINT)


def _worker(make: Callable[[], ImageScorer], each: int) -> Callable[[pa.Table], Columns]:
    scorer = make()
    scorer.load()

    def work(rows: pa.Table) -> Columns:
        images = arrays(rows["image"])
        flat = images.reshape(-1, *images.shape[2:])
        prompts = [prompt for prompt in rows["prompt"].to_pylist() for _ in range(each)]
        failed = NO_NUMBER
        try:
            scores = _scores(scorer, flat, prompts)
        except Exception as error:
            if rows.num_rows > 1 or lost_gpu(error):
                raise  # and the halves are tried
            scores, failed = (
                np.full(len(prompts), np.nan, np.float32),
                reason(error, OUT_OF_MEMORY_HINT),
            )
        finite = np.isfinite(scores)
        whole = finite.reshape(-1, each).all(axis=1)
        return {
            "score": pa.FixedSizeListArray.from_arrays(pa.array(scores, mask=~finite), each),
            "scorer_error": [None if has_all else failed for has_all in whole],
        }

    return work


def _scores(scorer: ImageScorer, images: np.ndarray, prompts: list[str]) -> np.ndarray:
    """float32 (n,). Raises ValueError where the scorer gives another number of them."""
    scores = scorer.score(images, prompts).astype(np.float32)
    if scores.shape != (len(prompts),):
        raise ValueError(f"the scorer gave {scores.shape} for {len(prompts)} pictures")
    return scores
