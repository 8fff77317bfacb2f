"""What earlier commands have done of a run, and what they left lying where they were killed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagepipe.ledger import Ledger, Scores, Tally
from imagepipe.sink import merge, written_parts
from imagepipe.sources import Tables, keys_of

FOLDERS = (".", "images", "table", "shards", ".failed", ".unmatched")
TEMPORARY = re.compile(r"\.\d+-.+|\.(failed|unmatched)\.parquet")  # see `sink.write_whole`


def _no_ids() -> pa.Array:
    return pa.array([], pa.string())


@dataclass(frozen=True)
class Done:
    """The rows that a run needs not do again, and figures of them.

    `ids` are texts as `sources.keys_of` makes them: of rows that were written, have no match, or
    failed and are not tried again. Rows that failed while they were read are not among them: they
    fail again, and cost nothing.
    """

    ids: pa.Array = field(default_factory=_no_ids)
    written: int = 0
    pictures: int = 0
    failed: int = 0
    unmatched: int = 0
    reasons: Tally = field(default_factory=Tally)
    scores: Scores = field(default_factory=Scores)
    set_aside: tuple[Path, ...] = ()  # parts that could not be read

    def ledger(self, rows_read: int) -> Ledger:
        """The counts that a run begins with which goes on from here."""
        return Ledger(
            rows_read,
            already_done=self.written,
            failed=self.failed,
            unmatched=self.unmatched,
            reasons=self.reasons,
            scores=self.scores,
        )


def take_in(folder: Path, tables: Tables, id_column: str, *, retry_failed: bool) -> Done:
    """Look what is done in `folder`, and clear away what killed writers left.

    `id_column` is the id's name in the dataset. Nobody else may write there meanwhile. Can itself
    be killed at any moment, and done again.
    """
    for name in FOLDERS:
        _clear(folder / name)
    (folder / "summary.json").unlink(missing_ok=True)  # it would be that of an earlier command
    aside: list[Path] = []
    scores, pictures, keys = Scores(), 0, [_no_ids()]
    for _, rows in _tables(written_parts(folder), [tables.id], ["score"], aside):
        pictures += rows.num_rows
        keys.append(keys_of(rows, [tables.id]).unique())
        if "score" in rows.column_names:
            scores.add(rows["score"].drop_null().to_pylist())
    _drop_shards_without_a_part(folder)
    written = pa.concat_arrays(keys).unique()
    failed = _rejected(folder, "failed", id_column, written, aside, again=retry_failed)
    unmatched = _rejected(folder, "unmatched", id_column, written, aside)
    stages, texts = failed["stage"].to_pylist(), failed["reason"].to_pylist()
    reasons = Tally()
    reasons.add(f"{s}: {r}" for s, r in zip(stages, texts, strict=True))
    return Done(
        ids=pa.concat_arrays([written, _ids(failed), _ids(unmatched)]),
        written=len(written),
        pictures=pictures,
        failed=failed.num_rows,
        unmatched=unmatched.num_rows,
        reasons=reasons,
        scores=scores,
        set_aside=tuple(aside),
    )


def _rejected(
    folder: Path,
    name: str,
    id_column: str,
    written: pa.Array,
    aside: list[Path],
    *,
    again: bool = False,
) -> pa.Table:
    """Put the rejected rows that stay so into one part: their `id` as text, `stage`, `reason`.

    A command that was killed between two steps may have left some twice, in its parts and in the
    file that it made of them. With `again` none stays.
    """
    kept = folder / f".{name}" / "part-earlier.parquet"
    found: dict[Path, pa.Table] = {}
    every = [folder / f"{name}.parquet", *sorted(kept.parent.glob("*.parquet"))]
    existing = [path for path in every if path.exists()]
    for part, rows in _tables(existing, [id_column, "stage", "reason"], [], aside):
        columns = [keys_of(rows, [id_column]), rows["stage"], rows["reason"]]
        found[part] = pa.table(columns, names=["id", "stage", "reason"])
    none = pa.table([_no_ids()] * 3, names=["id", "stage", "reason"])
    rows = pa.concat_tables([none, *found.values()])
    stay = _staying(rows, written) & (not again)
    ends = np.cumsum([len(part) for part in found.values()])[:-1]
    if stay.any():
        merge(list(found), kept, np.split(stay, ends))
    for part in found:
        if part != kept or not stay.any():
            part.unlink()
    return rows.filter(pa.array(stay))


def _staying(rows: pa.Table, written: pa.Array) -> np.ndarray:
    """Which rows are rejected still: (rows,) of bool."""
    ids = _ids(rows)
    first = pc.index_in(ids, value_set=ids).to_numpy(zero_copy_only=False) == np.arange(len(ids))
    drawn = pc.is_in(ids, value_set=written).to_numpy(zero_copy_only=False)
    while_read = pc.equal(rows["stage"], "read").to_numpy()
    return first & ~drawn & ~while_read.astype(bool)


def _tables(
    parts: Iterable[Path], needed: Sequence[str], wanted: Sequence[str], aside: list[Path]
) -> Iterable[tuple[Path, pa.Table]]:
    """The columns of each part. One that is torn or lacks a needed column is put aside."""
    for part in list(parts):
        try:
            there = pq.read_schema(part).names
            rows = pq.read_table(part, columns=[*needed, *(n for n in wanted if n in there)])
            rows.select(needed)
        except (pa.ArrowException, OSError, KeyError):
            aside.append(part.with_name(f".torn-{part.name}"))
            os.replace(part, aside[-1])
        else:
            yield part, rows


def _clear(folder: Path) -> None:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            left = [entry.path for entry in entries if TEMPORARY.fullmatch(entry.name)]
        for path in left:
            os.unlink(path)


def _drop_shards_without_a_part(folder: Path) -> None:
    """Their rows are drawn again, and would be in two shards."""
    whole = {part.stem for part in written_parts(folder)}
    for shard in (folder / "shards").glob("*.tar"):
        if shard.stem not in whole:
            shard.unlink()


def _ids(rows: pa.Table) -> pa.Array:
    return rows["id"].combine_chunks()
