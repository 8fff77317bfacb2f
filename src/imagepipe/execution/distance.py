"""How far pictures that exist are from a reference: the features of both sets, then distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from imagepipe import scoring
from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.execution import manifest
from imagepipe.scoring.sets import LEAST
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
    for ids, images in _batches(existing):
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


def _batches(existing: Existing) -> Iterator[tuple[list[str], list[Any]]]:
    """The ids of some pictures, and each as `decoded` gives it."""
    place = Path(existing.path).expanduser()
    if (place / manifest.RECORD).exists():  # its table: not what lies there to be looked at
        existing = replace(existing, path=str(place / "table"))
    for block in existing.blocks():
        for start in range(0, block.num_rows, BATCH):
            rows = block.slice(start, BATCH)
            yield [str(id) for id in rows["id"].to_pylist()], [decoded(b) for b in _bytes(rows)]


def _bytes(rows: pa.Table) -> Iterator[bytes | None]:
    if "image" in rows.column_names:
        yield from ((cell or {}).get("bytes") for cell in rows["image"].to_pylist())
        return
    for path in rows["image_path"].to_pylist():
        place = Path(path) if path else None
        yield place.read_bytes() if place is not None and place.is_file() else None
