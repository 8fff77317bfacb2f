"""The gallery of rows that a test names, as a run leaves it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from imagepipe.reports import gallery
from imagepipe.sink import results
from imagepipe.store import Store

Row = dict[str, Any]
SUMMARY = {
    "rows_read": 1200,
    "written": 1000,
    "failed": 150,
    "unmatched": 50,
    "already_done": 0,
    "images_per_s": {"end_to_end": 8.21, "steady": None},
    "time_to_first_image_s": 5.2,
}


def png(color: tuple[int, ...] = (200, 40, 40), size: tuple[int, int] = (32, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB" if len(color) == 3 else "RGBA", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def row(number: object, prompt: str = "a cat", *, png: bytes = png(), **cells: Any) -> Row:
    given = {"id": str(number), "base_prompt": "a cat", "prompt": prompt, "seed": 7}
    path = f"images/{number}.png" if isinstance(number, int) else "images/picture.png"
    return given | {"image": {"bytes": png, "path": path}} | cells


def written(
    folder: Path,
    rows: Sequence[Row],
    rejected: Mapping[str, Sequence[Row]] | None = None,
    *,
    title: str = "A run",
    scores: Mapping[str, str] | None = None,
    most: int = 10_000,
    sample: int = gallery.SAMPLE,
    files: bool = False,
    per_part: int = 100,
) -> Path:
    """The page of a run in `folder` that wrote `rows`, as files or inside its table, and that
    `rejected` others: the last two cells of each are the stage and the reason.
    """
    store = Store(str(folder))
    for part, first in enumerate(range(0, len(rows), per_part)):
        here = rows[first : first + per_part]
        if files:
            for one in here:
                store.write(one["image"]["path"], one["image"]["bytes"])
            here = [{**one, "image_path": one["image"]["path"]} for one in here]
            here = [{k: v for k, v in one.items() if k != "image"} for one in here]
        (folder / "table").mkdir(parents=True, exist_ok=True)
        names = dict.fromkeys(name for one in here for name in one)
        whole = [{name: one.get(name) for name in names} for one in here]
        pq.write_table(pa.Table.from_pylist(whole), folder / "table" / f"part-{part:04}.parquet")
    for name, others in (rejected or {}).items():
        pq.write_table(pa.Table.from_pylist(list(others)), folder / f"{name}.parquet")
    scores = scores or {}
    shown = results.to_show(store, "id", min(sample, most), scores)
    heading = gallery.Heading(title, SUMMARY, scores, {"steps": "8"})
    gallery.write(gallery.rows(folder, store, ["id"], None), shown, most, heading)
    return folder / gallery.PAGE
