"""How far pictures that exist are from a reference: the features of both sets, then distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe import scoring
from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.execution import manifest, place
from imagepipe.scoring.sets import LEAST
from imagepipe.sink.parts import encoded, written_parts
from imagepipe.sink.rescored import decoded
from imagepipe.sources.pictures import Existing

BATCH = 64  # pictures at a time, so that memory does not grow with their number


@dataclass
class Features:
    """Of a set of pictures: (n, d), of those that can be read; and why the others cannot, by id."""

    found: np.ndarray
    broken: dict[str, str] = field(default_factory=dict)


def model(scorer: Scorer) -> Any:
    """The scorer whose features tell sets apart, loaded. Raises UserError where it has none."""
    scoring.check(scorer)
    made = scoring.make(scorer)
    if not hasattr(made, "features"):
        raise UserError(
            field="scorer",
            value=scorer.name,
            problem=f"scorer.engine={scorer.engine} gives no features of pictures",
            remedy="Choose a CLIP: scorer=clip, or scorer=tiny_clip for the toy world.",
        )
    made.load()
    return made


def features(made: Any, existing: Existing, field: str) -> Features:
    """Of all pictures there; each is resized as the model's own processor does.

    Raises UserError where too few can be read; `field` is what it names.
    """
    parts: list[np.ndarray] = []
    broken: dict[str, str] = {}
    for ids, images in _batches(existing, field):
        good = [image for image in images if not isinstance(image, str)]
        broken |= {id: why for id, why in zip(ids, images, strict=True) if isinstance(why, str)}
        if good:
            parts.append(made.features(good))
    count = sum(map(len, parts))
    if count < LEAST:
        why = f"; {len(broken)} cannot be read, such as {next(iter(broken))}" if broken else ""
        raise UserError(
            field=field,
            value=existing.path,
            problem=f"has {count} pictures, of at least {LEAST} that a distance needs{why}",
            remedy="Name a place with more: FID wants some thousands, CMMD some hundreds.",
        )
    return Features(np.concatenate(parts), broken)


def _batches(existing: Existing, field: str) -> Iterator[tuple[list[str], list[Any]]]:
    """The ids of some pictures, and each as `decoded` gives it."""
    folder = Path(existing.path).expanduser().absolute()
    if (folder / manifest.RECORD).exists():
        yield from _of_run(folder, field)
        return
    for block in existing.blocks():
        for start in range(0, block.num_rows, BATCH):
            rows = block.slice(start, BATCH)
            yield [str(id) for id in rows["id"].to_pylist()], [decoded(b) for b in _bytes(rows)]


def _of_run(folder: Path, field: str) -> Iterator[tuple[list[str], list[Any]]]:
    """As `_batches`, of the pictures in its table, wherever they are: what else lies there is to be
    looked at."""
    store, id_column = place.table_of(folder, field)
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        wanted = {id_column, "image", "image_path"} & set(file.schema_arrow.names)
        for batch in file.iter_batches(BATCH, columns=sorted(wanted)):
            rows = pa.Table.from_batches([batch])
            ids = [str(id) for id in rows[id_column].to_pylist()]
            yield ids, [decoded(content) for content in encoded(store, part, rows)]


def _bytes(rows: pa.Table) -> Iterator[bytes | None]:
    if "image" in rows.column_names:
        yield from ((cell or {}).get("bytes") for cell in rows["image"].to_pylist())
        return
    for path in rows["image_path"].to_pylist():
        file = Path(path) if path else None
        yield file.read_bytes() if file is not None and file.is_file() else None
