"""What earlier commands of a run have done, and the files that killed ones have left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagepipe.config import Score
from imagepipe.sink import duplicates, thumbnails
from imagepipe.sink.ledger import FOR_GOOD, Ledger, Scores, Tally
from imagepipe.sink.parts import REJECTED, merge, written_parts
from imagepipe.sink.rejected import WHY
from imagepipe.sink.scored import NO_ERRORS, missing
from imagepipe.sources import Tables, keys_of
from imagepipe.store import Store

HIDDEN = tuple(f".{name}" for name in (*REJECTED, duplicates.FOLDER))
FOLDERS = ("", "images", thumbnails.FOLDER, "table", "shards", *HIDDEN)


def _no_ids() -> pa.Array:
    return pa.array([], pa.string())


@dataclass(frozen=True)
class Done:
    """The rows that a run need not do again, and figures about them.

    `ids` are texts as `sources.keys_of` makes them: of rows that were written, have no match, were
    filtered, or failed and are not retried. Rows that failed while they were read are not included:
    they fail again, at no cost.
    """

    ids: pa.Array = field(default_factory=_no_ids)
    written: int = 0
    pictures: int = 0
    failed: int = 0
    failed_for_good: int = 0
    unmatched: int = 0
    filtered: int = 0
    reasons: Tally = field(default_factory=Tally)
    scores: dict[str, Scores] = field(default_factory=dict)
    unscored: Tally = field(default_factory=Tally)
    torn: tuple[str, ...] = ()  # parts that could not be read

    def ledger(self, rows_read: int, at_once: int) -> Ledger:
        """The counts with which a resumed run starts."""
        return Ledger(
            rows_read,
            at_once,
            already_done=self.written,
            pictures_before=self.pictures,
            failed=self.failed,
            failed_for_good=self.failed_for_good,
            unmatched=self.unmatched,
            filtered=self.filtered,
            reasons=self.reasons,
            scores=self.scores,
            unscored=self.unscored,
        )


def take_in(
    store: Store,
    tables: Tables,
    id_column: str,
    why: tuple[str, str] = WHY,
    *,
    retry_failed: bool,
    scores: Sequence[Score] = (),
    errors: Mapping[str, str] = NO_ERRORS,
) -> Done:
    """Find what is done in `store`, and remove what killed writers left.

    `id_column` is the id's name in the dataset, the others are as in `sink.Writer`. Nobody else may
    write there meanwhile. Can itself be killed at any moment and repeated.
    """
    for name in FOLDERS:
        store.clear(name)
    torn: list[str] = []
    figures = {score.name: Scores() for score in scores if not score.is_text}
    unscored, pictures, keys = Tally(), 0, [_no_ids()]
    columns = [name for score in scores for name in (score.column, score.error)] + [*errors]
    for _, rows in _tables(store, written_parts(store), [tables.id], columns, torn):
        pictures += rows.num_rows
        keys.append(keys_of(rows, [tables.id]).unique())
        for score in scores:
            if not score.is_text:
                figures[score.name].add(rows[score.column].drop_null().to_pylist())
        unscored.add(missing(rows, scores, errors))
    _drop_shards_without_a_part(store)
    written = pa.concat_arrays(keys).unique()
    failed = _rejected(store, "failed", id_column, why, written, torn, again=retry_failed)
    unmatched = _rejected(store, "unmatched", id_column, why, written, torn)
    filtered = _rejected(store, "filtered", id_column, why, written, torn)
    stages, texts = failed["stage"].to_pylist(), failed["reason"].to_pylist()
    reasons = Tally()
    reasons.add(f"{s}: {r}" for s, r in zip(stages, texts, strict=True))
    return Done(
        ids=pa.concat_arrays([written, *map(_ids, (failed, unmatched, filtered))]),
        written=len(written),
        pictures=pictures,
        failed=failed.num_rows,
        failed_for_good=sum(stage in FOR_GOOD for stage in stages),
        unmatched=unmatched.num_rows,
        filtered=filtered.num_rows,
        reasons=reasons,
        scores={name: one for name, one in figures.items() if one.count},
        unscored=unscored,
        torn=tuple(torn),
    )


def _rejected(
    store: Store,
    name: str,
    id_column: str,
    why: Sequence[str],
    written: pa.Array,
    torn: list[str],
    *,
    again: bool = False,
) -> pa.Table:
    """Merge the rejected rows that stay so into one part: their `id` as text, `stage`, `reason`.

    `why` are the names of the last two there. A command that was killed between two steps may have
    left some rows twice, in its parts and in the merged file. With `again` none stays.
    """
    whole, kept = f"{name}.parquet", f".{name}/part-earlier.parquet"
    every = [*([whole] if store.exists(whole) else []), *store.parts(f".{name}")]
    found: dict[str, pa.Table] = {}
    for part, rows in _tables(store, every, [id_column, *why], [], torn):
        columns = [keys_of(rows, [id_column]), *(rows[name] for name in why)]
        found[part] = pa.table(columns, names=["id", "stage", "reason"])
    none = pa.table([_no_ids()] * 3, names=["id", "stage", "reason"])
    rows = pa.concat_tables([none, *found.values()])
    stay = _staying(rows, written) & (not again)
    if stay.any():
        ends = np.cumsum([len(part) for part in found.values()])[:-1]
        merge(store, list(found), kept, np.split(stay, ends))
    for part in found:
        if part != kept or not stay.any():
            store.remove(part)
    return rows.filter(pa.array(stay))


def _staying(rows: pa.Table, written: pa.Array) -> np.ndarray:
    """Which rows stay rejected: bool (rows,)."""
    ids = _ids(rows)
    first = pc.index_in(ids, value_set=ids).to_numpy(zero_copy_only=False) == np.arange(len(ids))
    drawn = pc.is_in(ids, value_set=written).to_numpy(zero_copy_only=False)
    while_read = pc.equal(rows["stage"], "read").to_numpy()
    return first & ~drawn & ~while_read.astype(bool)


def _tables(
    store: Store,
    parts: Sequence[str],
    needed: Sequence[str],
    wanted: Sequence[str],
    torn: list[str],
) -> Iterator[tuple[str, pa.Table]]:
    """The columns of each part. A part that is torn or lacks a needed column is hidden."""
    for part in parts:
        try:
            with store.open(part) as stream:
                file = pq.ParquetFile(stream)
                there = file.schema_arrow.names
                rows = file.read([*needed, *(name for name in wanted if name in there)])
            rows.select(needed)
        except (pa.ArrowInvalid, OSError, KeyError):
            torn.append(store.hide_torn(part))
        else:
            yield part, rows


def _drop_shards_without_a_part(store: Store) -> None:
    """Their rows are drawn again, and would be in two shards."""
    whole = {PurePosixPath(part).stem for part in written_parts(store)}
    for shard in store.parts("shards"):
        if PurePosixPath(shard).stem not in whole:
            store.remove(shard)


def _ids(rows: pa.Table) -> pa.Array:
    return rows["id"].combine_chunks()
