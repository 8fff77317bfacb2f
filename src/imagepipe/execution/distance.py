"""The distance of existing pictures to a reference: features of both sets, then the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.config import Config, Distance
from imagepipe.errors import UserError
from imagepipe.execution import manifest, place
from imagepipe.execution.messages import user_message
from imagepipe.reports.job import Job
from imagepipe.resources.process import bind_threads
from imagepipe.scoring import features, sets
from imagepipe.scoring.sets import LEAST
from imagepipe.sink.parts import encoded, written_parts
from imagepipe.sink.rescored import decoded
from imagepipe.sources.pictures import Existing
from imagepipe.store import Store

BATCH = 64  # pictures at a time, so that memory does not grow with their number
LEFT_OUT = 3  # pictures that cannot be read, by name
REFERENCE = "distance.reference"
IMAGE = "distance.image"
Batches = Iterator[tuple[list[str], list[Any]]]  # ids of some pictures, and each as `decoded` is


@dataclass(frozen=True)
class Pictures:
    """A set of pictures: a run's folder, a folder of pictures, or a table with paths or bytes.

    `image` is the column of a table; `field` is what errors name. With `store` it is the table
    there, with that column of ids.
    """

    path: str
    field: str
    image: str | None = None
    store: Store | None = None
    id_column: str = "id"

    def batches(self) -> Batches:
        folder = Path(self.path).expanduser().absolute()
        if self.store is not None:
            yield from _of_table(self.store, self.id_column)
        elif (folder / manifest.RECORD).exists():
            yield from _of_table(*place.table_of(folder, self.field))
        else:
            column = IMAGE if self.field == REFERENCE else "--image"
            yield from _of_files(Existing(self.path, None, self.image, self.field, column))


@dataclass
class Features:
    """The features (n, d) of the pictures that can be read; and why others cannot, by id."""

    found: np.ndarray
    broken: dict[str, str] = field(default_factory=dict)


def measured(
    distance: Distance, pictures: Pictures, reference: Pictures, level: float
) -> dict[str, Any]:
    """What `summary.json` says of the distance: both sets, whose features, and for each metric its
    figure, or why it has none. Each picture is resized as the network's own processor does.

    The network has passed `features.check`. Raises UserError if too few pictures can be read.
    """
    made = features.make(distance)
    made.load()
    ours, theirs = _features(made, pictures), _features(made, reference)
    figures = sets.figures(ours.found, theirs.found, level)
    return {
        "pictures": len(ours.found),
        "of": pictures.path,
        "left_out": _said(ours.broken),
        "reference_pictures": len(theirs.found),
        "reference": reference.path,
        "reference_left_out": _said(theirs.broken),
        "features": f"{distance.name}, {ours.found.shape[1]} numbers a picture",
        **{name: one if isinstance(one, str) else asdict(one) for name, one in figures.items()},
    }


def check(config: Config, rows: int) -> None:
    """Raise UserError if the distance cannot be measured for a run with so many rows."""
    distance = config.distance
    if distance.reference is None:
        if distance != Distance():
            raise UserError(
                field=REFERENCE,
                value=None,
                problem=f"distance={distance.name} needs pictures to compare with",
                remedy="Name a run's folder, a folder of pictures, or a table of them.",
            )
        return
    features.check(distance)
    few = rows * config.model.images_per_prompt
    if few < LEAST:
        raise UserError(
            field=REFERENCE,
            value=distance.reference,
            problem=f"this run draws {few} pictures, of at least {LEAST} that a distance needs",
            remedy="Draw more (limit=...), or leave it out.",
        )
    reference = _reference(distance)
    readable = (i for _, images in reference.batches() for i in images if not isinstance(i, str))
    _check_count(reference, sum(1 for _ in islice(readable, LEAST)), {})


def of_run(job: Job) -> dict[str, Any]:
    """`measured` for a finished run, in its own process on this machine: it does not slow down
    drawing, and frees its GPU memory. `trouble` says why there is no distance.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    distance = job.config.distance
    here = ray.get_runtime_context().get_node_id()
    has = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == here)
    pictures = Pictures(str(job.folder), "distance", store=job.store, id_column=job.tables.id)
    work = ray.remote(
        num_cpus=0,  # what drew has ended
        num_gpus=min(1, has.get("GPU", 0)),
        max_calls=1,
        max_retries=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
    )(_work)
    asked = (distance, pictures, _reference(distance), job.config.sweep.level, has.get("CPU", 1))
    try:
        found: dict[str, Any] = ray.get(
            work.remote(*asked), timeout=job.config.ray.progress_timeout_s
        )
    except Exception as error:  # the pictures are there, and nothing of the run is lost by it
        return {"reference": distance.reference, "trouble": user_message(job, error)}
    return found


def _work(*asked: Any) -> dict[str, Any]:
    *what, cpus = asked
    bind_threads(cpus)
    return measured(*what)


def _reference(distance: Distance) -> Pictures:
    path = str(distance.reference)
    local = Path(path).expanduser()
    return Pictures(str(local.absolute()) if local.exists() else path, REFERENCE, distance.image)


def _features(made: Any, pictures: Pictures) -> Features:
    """Of all pictures. Raises UserError if too few can be read."""
    parts: list[np.ndarray] = []
    broken: dict[str, str] = {}
    for ids, images in pictures.batches():
        good = [image for image in images if not isinstance(image, str)]
        broken |= {id: why for id, why in zip(ids, images, strict=True) if isinstance(why, str)}
        if good:
            parts.append(made.features(good))
    _check_count(pictures, sum(map(len, parts)), broken)
    return Features(np.concatenate(parts), broken)


def _check_count(pictures: Pictures, count: int, broken: dict[str, str]) -> None:
    if count >= LEAST:
        return
    why = f"; {len(broken)} cannot be read, such as {next(iter(broken))}" if broken else ""
    raise UserError(
        field=pictures.field,
        value=pictures.path,
        problem=f"has {count} pictures, of at least {LEAST} that a distance needs{why}",
        remedy="Name a place with more: FID wants some thousands, CMMD some hundreds.",
    )


def _said(broken: dict[str, str]) -> str:
    """How many pictures are left out, and why the first of them; empty if none is."""
    some = "; ".join(f"{id}: {why}" for id, why in islice(broken.items(), LEFT_OUT))
    return f"{len(broken)} left out ({some})" if broken else ""


def _of_files(existing: Existing) -> Batches:
    here = Store.of(None, Path.cwd())
    for block in existing.blocks():
        for start in range(0, block.num_rows, BATCH):
            rows = block.slice(start, BATCH)
            images = [decoded(content) for content in encoded(here, None, rows)]
            yield [str(id) for id in rows["id"].to_pylist()], images


def _of_table(store: Store, id_column: str) -> Batches:
    """The pictures in a run's table, without other files there."""
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        wanted = {id_column, "image", "image_path"} & set(file.schema_arrow.names)
        for batch in file.iter_batches(BATCH, columns=sorted(wanted)):
            rows = pa.Table.from_batches([batch])
            ids = [str(id) for id in rows[id_column].to_pylist()]
            yield ids, [decoded(content) for content in encoded(store, part, rows)]
