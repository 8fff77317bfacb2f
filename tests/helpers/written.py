"""Batches as they come to the writer, and a writer of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from imagepipe.config import Score, Sink
from imagepipe.prompts.seeds import row_seed
from imagepipe.sink.filter import Filter
from imagepipe.sink.lock import RunLock
from imagepipe.sink.writer import Writer
from imagepipe.store import Store

FACTS = {"steps": "4", "guidance": "2", "size": "8x8", "model": "m", "negative_prompt": "blur"}


def batch(
    ids: list[str | None], *, each: int = 1, stages: list[str | None] | None = None
) -> pa.Table:
    rows = len(ids)
    stages = stages or [None] * rows
    images = np.stack([np.full((each, 8, 8, 3), 10 * i + 5, np.uint8) for i in range(rows)])
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "what": [f"thing {i}" for i in range(rows)],
            "base_prompt": [f"a thing {i}" for i in range(rows)],
            "seed": pa.array([row_seed(7, str(id_)) for id_ in ids], pa.int64()),
            "prompt": [f"a fine thing {i} <é>" for i in range(rows)],
            "image": pa.FixedShapeTensorArray.from_numpy_ndarray(images),
            "llm_fallback": pa.array([None, *["refusal"] * (rows - 1)], pa.string()),
            "llm_answer": pa.array([None, *["I cannot."] * (rows - 1)], pa.string()),
            "llm_tokens_in": pa.array(range(rows), pa.int32()),
            "llm_tokens_out": pa.array([None, *[5] * (rows - 1)], pa.int32()),
            "drawn_at": pa.array(range(rows), pa.float64()),
            "prompt_cut": [False] * rows,
            "llm_s": pa.array([0.5] * rows, pa.float32()),
            "unknown_words": [None, *["zyx, lighthouse"] * (rows - 1)],
            "failed_stage": pa.array(stages, pa.string()),
            "failed_reason": pa.array([s and f"why {s}" for s in stages], pa.string()),
        }
    )


def writer(
    folder: Path, scores: tuple[Score, ...] = (), filter: Filter | None = None, **sink: Any
) -> Writer:
    columns = {"id": "id", "what": "what"}
    options = Sink(name="test", **{"png": True, "parquet": True, **sink})
    store = Store(str(folder))
    run_lock = RunLock(Store(str(folder.with_name(f"{folder.name}.claims"))), "claim")
    run_lock.store.write(run_lock.name, b"")
    more = {"scores": scores, "filter": filter or Filter()}
    return Writer(store, options, 7, "id", columns, FACTS, run_lock, **more)
