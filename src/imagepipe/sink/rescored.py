"""New scores of existing pictures: kept beside the table first, then merged into its parts.

Each part is replaced as a whole. The scores of a part that has no such columns yet are in
`.scored/`, so that nothing is scored twice after a kill.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagepipe.config import Score
from imagepipe.errors import UserError, with_class
from imagepipe.sink.ledger import Scores, Tally
from imagepipe.sink.lock import RunLock
from imagepipe.sink.parts import encoded, written_parts
from imagepipe.sink.scored import NO_ERRORS, missing
from imagepipe.stages.pictures import PIXELS, pixels
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE
from imagepipe.store import Store

KEPT, JOURNAL = ".scored", "scored.json"
PROMPT = "prompt"  # the column that scorers ask for where they ask for the prompt
NO_PROMPT = "it has no prompt"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a part, by their places in it."""

    part: str
    places: list[int]


# --- what is to be scored


def check_names(
    store: Store, scorers: dict[str, Any], scores: Sequence[Score], taken: Collection[str] = ()
) -> None:
    """Say in the store who scores; raise UserError if the table has a score of that name, as it
    has those that are `taken`.

    Of the same scorer, which was ended early or has scored all but new parts, it goes on.
    """
    known = journal(store)
    for score in scores:
        before, now = known.get(score.scorer), scorers[score.scorer]
        if score.scorer in taken or (before != now and _has_some(store, score)):
            who = "the run itself" if score.scorer in taken else "another scorer"
            raise UserError(
                field=f"scorer.{score.scorer}",
                value=score.scorer,
                problem=f"the table already has scores with that name, from {who}",
                remedy=f"Give this one another name: scorer.{score.scorer}.name=NAME",
            )
    store.write(JOURNAL, json.dumps(known | scorers, indent=1).encode())


def _has_some(store: Store, score: Score) -> bool:
    """Whether there are values for a score of that name, in the table or beside it."""
    return any(
        score.column in _schema(store, part).names or len(_kept(store, part, [score]))
        for part in written_parts(store)
    )


def journal(store: Store) -> dict[str, Any]:
    """The scorers whose columns were added, by name, with everything that decides their scores."""
    with suppress(FileNotFoundError):
        found: dict[str, Any] = json.loads(store.read(JOURNAL))
        return found
    return {}


def left(store: Store, scores: Sequence[Score], most: int) -> list[Chunk]:
    """The rows that have no score yet, at most `most` in a chunk."""
    chunks = []
    for part in written_parts(store):
        if not _lacks(store, part, scores):
            continue
        rows = pq.read_metadata(store.open(part)).num_rows
        done = set(_kept(store, part, scores)["place"].to_pylist())
        places = [place for place in range(rows) if place not in done]
        chunks += [Chunk(part, places[i : i + most]) for i in range(0, len(places), most)]
    return chunks


def has_values(store: Store, column: str) -> bool:
    """Whether any row has a value in `column`."""
    for part in written_parts(store):
        if column in _schema(store, part).names:
            cells = pq.read_table(store.open(part), columns=[column])[column]
            if cells.null_count < len(cells):
                return True
    return False


def count(store: Store) -> int:
    """The number of rows in all parts."""
    return sum(pq.read_metadata(store.open(part)).num_rows for part in written_parts(store))


def read(
    items: pa.Table, store: Store, prompt: str, columns: Collection[str], *, asked: bool = True
) -> pa.Table:
    """Of the rows of one Chunk, which comes as a table: `part`, `place`, `image` (of type PIXELS,
    of one picture), the `columns`, and those of the ledger.

    `prompt` is the column that stands for `prompt`. A row fails, in the stage "read", where its
    picture is gone or broken, or where it has no prompt and one is `asked` for.
    """
    [chunk] = (Chunk(**item) for item in items.to_pylist())
    file = pq.ParquetFile(store.open(chunk.part))
    named = {name: prompt if name == PROMPT else name for name in columns}
    wanted = dict.fromkeys(("image", "image_path", *named.values()))
    rows = file.read([name for name in wanted if name in file.schema_arrow.names])
    rows = rows.take(pa.array(chunk.places, pa.int64()))
    cells, reasons = [], []
    for content in encoded(store, chunk.part, rows):
        picture = decoded(content)
        cells.append(None if isinstance(picture, str) else pixels(picture[None]))
        reasons.append(picture if isinstance(picture, str) else None)
    found = {name: rows[c] for name, c in named.items() if c in rows.column_names}
    if PROMPT in named and not asked:
        found[PROMPT] = pa.array([""] * len(rows))
    elif PROMPT in named:
        empty = rows[prompt].is_null().to_pylist()
        reasons = [why or (NO_PROMPT if e else None) for why, e in zip(reasons, empty, strict=True)]
    return pa.table(
        {
            "part": pa.array([chunk.part] * len(rows), pa.string()),
            "place": pa.array(chunk.places, pa.int64()),
            "image": pa.array(cells, PIXELS),
            **found,
            FAILED_STAGE: pa.array(["read" if why else None for why in reasons], pa.string()),
            FAILED_REASON: pa.array(reasons, pa.string()),
        }
    )


def decoded(content: bytes | None) -> np.ndarray | str:
    """uint8 (height, width, 3), or why it cannot be decoded, as text."""
    from PIL import Image

    if content is None:
        return "the picture is not there"
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # whatever Pillow's decoders raise
        return f"the picture cannot be read ({with_class(error)})"


# --- what was scored


@dataclass(frozen=True)
class ScoreWriter:
    """Stores the scores of a batch, as a Ray Data task; returns the number of rows."""

    store: Store
    scores: tuple[Score, ...]
    run_lock: RunLock

    def __call__(self, table: pa.Table) -> pa.Table:
        with self.run_lock.writing():
            for part in table["part"].unique().to_pylist():
                rows = table.filter(pc.equal(table["part"], part))
                self._keep(part, rows)
        return pa.table({"rows": [len(table)]})

    def _keep(self, part: str, rows: pa.Table) -> None:
        columns = {"place": rows["place"]}
        for score in self.scores:
            columns[score.column] = pc.list_element(rows[score.column], 0)
            columns[score.error] = pc.coalesce(rows[score.error], rows[FAILED_REASON])
            columns[f"{score.stage}_s"] = rows[f"{score.stage}_s"]
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer)
        name = blake2b(str(rows["place"].to_pylist()).encode(), digest_size=12).hexdigest()
        self.run_lock.check()
        self.store.write(f"{_folder(part)}/{name}.parquet", buffer.getvalue())


def merge(store: Store, scores: Sequence[Score], run_lock: RunLock) -> None:
    """Merge the stored scores into the parts, each replaced as a whole. Can be killed at any
    moment and repeated.

    Columns of scores come last. Nobody else may write there meanwhile.
    """
    for part in written_parts(store):
        if _lacks(store, part, scores):
            table, kept = pq.read_table(store.open(part)), _kept(store, part, scores)
            order = np.full(len(table), -1)
            order[kept["place"].to_numpy()] = np.arange(len(kept))
            if (order < 0).any():
                continue
            kept = kept.take(order)
            for name in kept.column_names[1:]:
                there = [name] if name in table.column_names else []
                table = table.drop_columns(there).append_column(name, kept[name])
            buffer = io.BytesIO()
            pq.write_table(table, buffer, compression="zstd")
            run_lock.check()
            store.write(part, buffer.getvalue())
        store.remove_folder(_folder(part))
    if not left(store, scores, 1):
        store.remove_folder(KEPT)


def figures(
    store: Store, scores: Sequence[Score], errors: Mapping[str, str] = NO_ERRORS
) -> tuple[dict[str, Scores], Tally]:
    """Of the scores in the table, by name; and why others are missing, or columns of stages."""
    found = {score.name: Scores() for score in scores if not score.is_text}
    unscored = Tally()
    for part in written_parts(store):
        names = _schema(store, part).names
        here = [score for score in scores if {score.column, score.error} <= set(names)]
        wanted = dict.fromkeys(name for score in here for name in (score.column, score.error))
        rows = pq.read_table(store.open(part), columns=[*dict.fromkeys([*wanted, *errors])])
        for score in here:
            if not score.is_text:
                found[score.name].add(rows[score.column].drop_null().to_pylist())
        unscored.add(missing(rows, here, errors))
    return {name: one for name, one in found.items() if one.count}, unscored


def _lacks(store: Store, part: str, scores: Sequence[Score]) -> bool:
    names = _schema(store, part).names
    return any(score.column not in names for score in scores)


def _kept(store: Store, part: str, scores: Sequence[Score]) -> pa.Table:
    """What is kept of a part by these scorers, each row once; those of others are left out."""
    columns: dict[str, pa.DataType] = {}
    for score in scores:
        columns[score.column] = pa.string() if score.is_text else pa.float32()
        columns |= {score.error: pa.string(), f"{score.stage}_s": pa.float32()}
    schema = pa.schema([("place", pa.int64()), *columns.items()])
    found = [schema.empty_table()]
    for name in store.parts(_folder(part)):
        table = pq.read_table(store.open(name))
        if columns.keys() <= set(table.column_names):
            found.append(table.select(schema.names).cast(schema))
    every = pa.concat_tables(found)
    _, first = np.unique(every["place"].to_numpy(), return_index=True)
    return every.take(first)


def _folder(part: str) -> str:
    return f"{KEPT}/{PurePosixPath(part).stem}"


def _schema(store: Store, part: str) -> pa.Schema:
    return pq.read_schema(store.open(part))
