"""The stage that scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from imagepipe.config import Score, Scorer, share_key
from imagepipe.scoring import ImageScorer, recipe
from imagepipe.stages.pictures import pictures
from imagepipe.stages.stage import Columns, Stage, lost_gpu, reason

NO_NUMBER = "the scorer gave a number that is none"


def stage(scorer: Scorer, each: int, name: str = "scorer") -> Stage:
    """The stage that adds `score`: for a row of `each` pictures a list of `each` float32.

    It reads the whole prompt, as the model did. A score that is no finite number is null, and
    those of a row that the scorer fails with are: the pictures are drawn by then, and kept.
    `scorer_error` says why (text; null where all have a score). One of several is called by its
    `name`, and so are its columns.
    """
    score = Score(scorer.name, name)
    hint = f"give it more of a GPU ({share_key(name)}.num_gpus)"
    adds = pa.schema([(score.column, pa.list_(pa.float32(), each)), (score.error, pa.string())])
    work = partial(_worker, recipe(scorer), each, score, hint)
    return Stage(name, ("image", "prompt"), adds, work, out_of_memory_hint=hint)


def _worker(
    make: Callable[[], ImageScorer], each: int, score: Score, hint: str
) -> Callable[[pa.Table], Columns]:
    scorer = make()
    scorer.load()

    def work(rows: pa.Table) -> Columns:
        flat = [image for of_row in pictures(rows["image"]) for image in of_row]
        prompts = [prompt for prompt in rows["prompt"].to_pylist() for _ in range(each)]
        failed = NO_NUMBER
        try:
            scores = _scores(scorer, flat, prompts)
        except Exception as error:
            if rows.num_rows > 1 or lost_gpu(error):
                raise  # and the halves are tried
            scores, failed = np.full(len(prompts), np.nan, np.float32), reason(error, hint)
        finite = np.isfinite(scores)
        whole = finite.reshape(-1, each).all(axis=1)
        return {
            score.column: pa.FixedSizeListArray.from_arrays(pa.array(scores, mask=~finite), each),
            score.error: [None if has_all else failed for has_all in whole],
        }

    return work


def _scores(scorer: ImageScorer, images: list[np.ndarray], prompts: list[str]) -> np.ndarray:
    """float32 (n,); pictures of one size are scored together.

    Raises ValueError where the scorer gives another number of them.
    """
    scores = np.empty(len(images), np.float32)
    for size in {image.shape for image in images}:
        places = [place for place, image in enumerate(images) if image.shape == size]
        some = np.stack([images[place] for place in places])
        found = scorer.score(some, [prompts[place] for place in places]).astype(np.float32)
        if found.shape != (len(places),):
            raise ValueError(f"the scorer gave {found.shape} for {len(places)} pictures")
        scores[places] = found
    return scores
