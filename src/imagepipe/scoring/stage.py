"""The stage that scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.scoring import make
from imagepipe.stages.stage import Columns, Stage

THRIFT = "give it more of a GPU (resources.scorer.num_gpus)"


def stage(scorer: Scorer, each: int) -> Stage:
    """The stage that adds `score`: for a row of `each` pictures a list of `each` float32.

    It reads the whole prompt, as the model did. A score that is no finite number is null.
    """
    adds = pa.schema([("score", pa.list_(pa.float32(), each))])
    recipe = partial(_worker, scorer, each)
    return Stage("scorer", ("image", "prompt"), adds, recipe, out_of_memory_hint=THRIFT)


def _worker(scorer: Scorer, each: int) -> Callable[[pa.Table], Columns]:
    judge = make(scorer)
    judge.load()

    def work(rows: pa.Table) -> Columns:
        images = rows["image"].combine_chunks()
        images = images.chunk(0) if isinstance(images, pa.ChunkedArray) else images
        flat = images.to_numpy_ndarray()
        flat = flat.reshape(-1, *flat.shape[2:])
        prompts = [prompt for prompt in rows["prompt"].to_pylist() for _ in range(each)]
        scores = judge.score(flat, prompts).astype(np.float32)
        if scores.shape != (len(prompts),):
            raise ValueError(f"the scorer gave {scores.shape} for {len(prompts)} pictures")
        finite = pa.array(scores, mask=~np.isfinite(scores))
        return {"score": pa.FixedSizeListArray.from_arrays(finite, each)}

    return work
