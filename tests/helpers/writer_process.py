"""Writes what is left of ROWS rows into the folder of its first argument, as a command would.

Run as a process of its own, to be killed; says "ready" once it has looked what is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from helpers.written import FACTS, batch

from imagepipe import sources
from imagepipe.config import Dataset, Sink
from imagepipe.sink import resume
from imagepipe.sink.lock import acquire
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.writer import Writer
from imagepipe.store import Store

ROWS, BATCH = 120, 4
IDS = [f"r{number:03d}" for number in range(ROWS)]
STAGES = dict.fromkeys(range(7, ROWS, 20), "model") | dict.fromkeys(range(9, ROWS, 20), "join")


def tables(folder: Path) -> sources.Tables:
    path = folder / "rows.csv"
    path.write_text("id,what\n" + "".join(f"{one},thing\n" for one in IDS))
    dataset = Dataset(name="rows", path=str(path), format="csv", id="id", prompt="{what}")
    return sources.scan(dataset, None)


def rows(numbers: list[int]) -> pa.Table:
    """A batch whose pictures and texts depend on the rows alone, not on their places in it."""
    made = batch([IDS[n] for n in numbers], stages=[STAGES.get(n) for n in numbers])
    images = np.stack([np.full((1, 8, 8, 3), 2 * n, np.uint8) for n in numbers])
    values = {
        "image": pa.FixedShapeTensorArray.from_numpy_ndarray(images),
        **{name: pa.nulls(len(numbers), pa.string()) for name in ("llm_fallback", "llm_answer")},
        "unknown_words": pa.nulls(len(numbers), pa.string()),
        **{name: pa.array(numbers, pa.int32()) for name in ("llm_tokens_in", "llm_tokens_out")},
        **{name: [f"{name} {n}" for n in numbers] for name in ("what", "base_prompt", "prompt")},
        "seed": pa.array(numbers, pa.int64()),
    }
    for name, column in values.items():
        made = made.set_column(made.schema.get_field_index(name), name, [column])
    return made


def main(folder: Path, out: Path) -> None:
    store = Store(str(out))
    with acquire(out, store, "r") as mine:
        done = resume.take_in(store, tables(folder), "id", retry_failed=False)
        known = set(done.ids.to_pylist())
        left = [number for number, one in enumerate(IDS) if one not in known]
        columns = {"id": "id", "what": "what"}
        sink = Sink(name="test", webdataset=True)
        writer = Writer(store, sink, 7, "id", columns, FACTS, mine)
        print("ready", flush=True)
        for start in range(0, len(left), BATCH):
            writer(rows(left[start : start + BATCH]))
        mine.end()
        collect_rejected(store)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
