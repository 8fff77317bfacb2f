"""The only writer of pictures and tables, into a `Store`.

Pictures are written before the table part that names them, so a row of the table is the proof
that its picture is there.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagepipe.config import Model, Score, Sink
from imagepipe.diffusion import inputs
from imagepipe.diffusion.rows import RowSettings
from imagepipe.prompts import seeds
from imagepipe.prompts.signs import held, signs
from imagepipe.sink import duplicates, scored
from imagepipe.sink.encoding import SUFFIXES, encode
from imagepipe.sink.filter import Filter
from imagepipe.sink.ledger import FOR_GOOD
from imagepipe.sink.lock import RunLock
from imagepipe.sink.metadata import model_metadata, of_picture
from imagepipe.sink.naming import file_stem
from imagepipe.sink.parts import REJECTED, place_of_task
from imagepipe.sink.rejected import WHY, filtered_rows, ledger_of
from imagepipe.sink.reuse import MadeBy
from imagepipe.sink.thumbnails import Thumbnails
from imagepipe.sink.webdataset import shard
from imagepipe.sources.blocks import restored
from imagepipe.sources.formats.base import ADDED
from imagepipe.sources.tables import ORIGINAL
from imagepipe.stages.pictures import pictures
from imagepipe.stages.stage import FAILED_STAGE, LEDGER, reused
from imagepipe.store import Store

TOLD = 500  # characters of a reason, or of unknown words, that the driver is told
TOLD_INSIDE = ("prompt", "base_prompt", "seed", "image_index")  # a picture, with its id
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PICTURES = {"image": {"_type": "Image"}}  # what Hugging Face's `datasets` calls such a column

# One row of what a writer tells the driver about a batch: counts and small texts, no pictures.
COUNTS = pa.schema(
    [
        ("written", pa.int64()),
        ("failed", pa.int64()),
        ("unmatched", pa.int64()),
        ("filtered", pa.int64()),
        ("pictures", pa.int64()),
        ("pictures_filtered", pa.int64()),
        ("written_at", pa.float64()),  # time.time() once the batch was on disk
        ("drawn_at", pa.float64()),  # and once the last of it was drawn; null if nothing was
        ("busy_s", pa.map_(pa.string(), pa.float64())),  # of each stage's processes, for all rows
        ("reused", pa.map_(pa.string(), pa.int64())),  # rows of which earlier runs did the stage
        ("prompts_cut", pa.int64()),
        ("llm_tokens_in", pa.int64()),
        ("llm_tokens_out", pa.int64()),
        ("llm_trimmed", pa.int64()),  # answers of which a part is drawn
        ("llm_fallbacks", pa.list_(pa.string())),
        ("unknown_words", pa.list_(pa.string())),
        ("prompt_signs", pa.list_(pa.string())),  # of other tools, that a model reads as plain text
        ("inversion_words", pa.list_(pa.string())),
        ("reasons", pa.list_(pa.string())),
        ("failed_for_good", pa.int64()),
        ("unmatched_reasons", pa.list_(pa.string())),
        ("filtered_reasons", pa.list_(pa.string())),
        ("scores", pa.map_(pa.string(), pa.list_(pa.float64()))),  # those that there are, by name
        ("unscored", pa.list_(pa.string())),  # why, for each that is missing
    ]
)


@dataclass(frozen=True)
class Writer:
    """Writes one batch, as a Ray Data task; returns one row of COUNTS.

    `metadata` are the texts that go into every picture; `input_columns` maps the names of the
    dataset's own columns, as they are in the batch, to the names that they came with; `why` are
    the columns that say of a rejected row in which stage it was, and the reason; `features` are
    what Hugging Face's `datasets` takes columns for; `scores` are what scorers say of the rows'
    pictures, and `errors` as `sink.scored` has them; `made_by` goes into the parts, and
    `thumbnails` says which pictures get a small one; `words` are those of textual inversions.
    Raises RunFailed if the command's lock of the folder has ended.
    """

    store: Store
    sink: Sink
    run_seed: int
    id_column: str
    input_columns: dict[str, str]
    metadata: dict[str, str]
    run_lock: RunLock
    why: tuple[str, str] = WHY
    features: dict[str, Any] = field(default_factory=dict)
    settings: RowSettings = field(default_factory=lambda: RowSettings(Model()))
    scores: tuple[Score, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    filter: Filter = field(default_factory=Filter)
    made_by: MadeBy | None = None
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    words: tuple[str, ...] = ()
    timed: tuple[str, ...] = ("llm", "model")  # the stages whose rows may say how long they took

    def __call__(self, table: pa.Table) -> pa.Table:
        with self.run_lock.writing():
            return self._write(table)

    def _write(self, table: pa.Table) -> pa.Table:
        stage = table[FAILED_STAGE]
        good = table.filter(pc.is_null(stage))
        unmatched = table.filter(pc.fill_null(pc.equal(stage, "join"), False))
        failed = table.filter(pc.fill_null(pc.not_equal(stage, "join"), False))
        named = {stage: reused(stage) for stage in self.timed}
        known = {stage: good[n] for stage, n in named.items() if n in good.column_names}
        asked = good.filter(pc.invert(known["llm"])) if "llm" in known else good
        if self.filter.near_duplicates is not None:
            self.write_rejected(good, duplicates.FOLDER)
        kept, pictures, reasons, errors = self._write_good(good)
        filtered, unscored = filtered_rows(good, reasons, errors)
        failed = pa.concat_tables([failed, unscored])
        for rows, name in zip((failed, unmatched, filtered), REJECTED, strict=True):
            self.write_rejected(rows, name)
        prompts = good["prompt"].to_pylist()
        counts = {
            "written": good.num_rows - filtered.num_rows - unscored.num_rows,
            "failed": failed.num_rows,
            "unmatched": unmatched.num_rows,
            "filtered": filtered.num_rows,
            "pictures": kept.num_rows,
            "pictures_filtered": pictures - kept.num_rows,
            "written_at": time.time(),
            "drawn_at": pc.max(good["drawn_at"]).as_py(),
            "busy_s": [(stage, _seconds(table, f"{stage}_s")) for stage in self.timed],
            "prompts_cut": pc.sum(good["prompt_cut"]).as_py() or 0,
            "reused": [(stage, pc.sum(rows).as_py() or 0) for stage, rows in known.items()],
            "llm_tokens_in": pc.sum(asked["llm_tokens_in"]).as_py() or 0,
            "llm_tokens_out": pc.sum(asked["llm_tokens_out"]).as_py() or 0,
            "llm_trimmed": good["llm_fallback"].null_count - good["llm_answer"].null_count,
            "llm_fallbacks": good["llm_fallback"].drop_null().to_pylist(),
            "unknown_words": _words(good["unknown_words"]),
            "prompt_signs": [sign for text in prompts for sign in signs(text, self.words)],
            "inversion_words": [word for text in prompts for word in held(text, self.words)],
            "reasons": [f"{s}: {r}"[:TOLD] for s, r in zip(*ledger_of(failed), strict=True)],
            "failed_for_good": sum(s in FOR_GOOD for s in failed[FAILED_STAGE].to_pylist()),
            "unmatched_reasons": [reason[:TOLD] for reason in ledger_of(unmatched)[1]],
            "filtered_reasons": [reason[:TOLD] for reason in ledger_of(filtered)[1]],
            "scores": scored.numbers(kept, self.scores),
            "unscored": [why[:TOLD] for why in scored.missing(kept, self.scores, self.errors)],
        }
        return pa.table({name: [value] for name, value in counts.items()}, schema=COUNTS)

    def _write_good(
        self, rows: pa.Table
    ) -> tuple[pa.Table, int, list[str | None], list[str | None]]:
        """Write what the filter keeps of rows with pictures.

        Returns what is kept, a row a picture; how many pictures there were; for each of `rows`
        null, or why it has none; and null, or why a scorer left one of its pictures out.
        """
        if rows.num_rows == 0:
            return rows, 0, [], []
        images = pictures(rows["image"])
        own = ["image", "drawn_at", ORIGINAL, *LEDGER.names, *map(reused, self.timed)]
        rows = rows.drop_columns([name for name in own if name in rows.column_names])
        table = self._row_a_picture(rows, len(images[0]))
        flat = [image for of_row in images for image in of_row]
        reasons: list[str | None] = [None] * rows.num_rows
        errors: list[str | None] = [None] * rows.num_rows
        if self.filter.works:
            errors = scored.errors_of_rows(table, self.scores, self.errors, rows.num_rows)
            kept, reasons = self.filter.kept(table, len(images[0]))
            table = table.filter(pa.array(kept))
            flat = [image for image, is_kept in zip(flat, kept, strict=True) if is_kept]
        if flat:
            self._write_pictures(table, flat, rows)
        return table, rows.num_rows * len(images[0]), reasons, errors

    def _write_pictures(self, table: pa.Table, flat: list[np.ndarray], rows: pa.Table) -> None:
        """Write `flat`, the pictures of `table`, made of `rows`."""
        digests = [inputs.DIGEST.format(key) for key in self.settings.pictures]
        inside = [n for n in (*TOLD_INSIDE, *digests) if n in table.column_names]
        told = table.select([self.id_column, *inside])
        metadata = self._metadata(table)
        form = (self.sink.image_format, self.sink.quality)
        pngs = [
            encode(image, self._texts(row, said, image.shape), *form)
            for image, row, said in zip(flat, told.to_pylist(), metadata, strict=True)
        ]
        paths = table["image_path"].to_pylist()
        if self.sink.png:
            for path, png in zip(paths, pngs, strict=True):
                self.store.write(path, png)
        key = self._key(rows)
        self.thumbnails.write(self.store, key, paths, flat)
        if self.sink.webdataset:
            self.store.write(f"shards/{key}.tar", shard(table, pngs))
        if self.sink.image_bytes:
            cells = [{"bytes": b, "path": p} for b, p in zip(pngs, paths, strict=True)]
            table = table.append_column("image", pa.array(cells, IMAGE))
        if not (self.sink.png or self.sink.webdataset):
            table = table.drop_columns(["image_path"])  # it would point at nothing
        if self.filter.near_duplicates is not None:
            table = table.append_column(duplicates.COLUMN, duplicates.hashes(flat))
        said = self.made_by.metadata if self.made_by else {}
        features = self.features | (PICTURES if self.sink.image_bytes else {})
        if features:  # where `datasets` looks for them in a Parquet file
            said = said | {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        table = table.replace_schema_metadata(said or None)
        self._write_part(table, "table", rows)

    def _row_a_picture(self, rows: pa.Table, each: int) -> pa.Table:
        """Every row `each` times, with the picture's own number, seed and path."""
        table = rows.take(np.repeat(np.arange(rows.num_rows), each))
        index = np.tile(np.arange(each), rows.num_rows)
        ids = [str(value) for value in table[self.id_column].to_pylist()]
        numbers = seeds.of_pictures(rows, self.run_seed, self.id_column, each, self.settings.seed)
        stems = [file_stem(id_) for id_ in ids]
        names = stems if each == 1 else [f"{s}-{k}" for s, k in zip(stems, index, strict=True)]
        place = table.schema.get_field_index("seed")
        table = table.set_column(place, "seed", pa.array(numbers, pa.int64()))
        table = scored.a_picture(table, rows, self.scores)
        if each > 1:
            table = table.append_column("image_index", pa.array(index, pa.int32()))
        suffix = SUFFIXES[self.sink.image_format]
        paths = [f"images/{name}.{suffix}" for name in names]
        return table.append_column("image_path", pa.array(paths, pa.string()))

    def _metadata(self, table: pa.Table) -> list[dict[str, str]]:
        """The metadata of each picture of `table`, with its row's own settings."""
        if not self.settings.columns:
            return [self.metadata] * table.num_rows
        made, said = self.settings.maker(), {}
        texts = []
        for cells in self.settings.cells(table):
            model, _ = made(cells)
            if id(model) not in said:
                own = model_metadata(model) if model is not None else {}
                said[id(model)] = self.metadata | {k: v for k, v in own.items() if v is not None}
            texts.append(said[id(model)])
        return texts

    def _texts(
        self, row: dict[str, Any], metadata: dict[str, str], shape: tuple[int, ...]
    ) -> dict[str, str]:
        keys = self.settings.pictures
        digests = {inputs.TEXT.format(k): row[inputs.DIGEST.format(k)] for k in keys}
        return of_picture(row, self.id_column, metadata | digests, shape)

    def write_rejected(self, rows: pa.Table, name: str) -> None:
        """The dataset's own columns under their own names, so that they can be used as input
        again.

        Cells that are not text have their original bytes. The columns `why` come last.
        """
        if rows.num_rows == 0:
            return
        names = {theirs: ours for ours, theirs in self.input_columns.items()}
        table = restored(rows, names).select(list(self.input_columns))
        table = table.rename_columns(list(self.input_columns.values()))
        for column, values in zip(self.why, ledger_of(rows), strict=True):
            said = pa.field(column, pa.string(), metadata=ADDED)
            table = table.append_column(said, pa.array(values, pa.string()))
        self._write_part(table, f".{name}", rows)

    def _write_part(self, table: pa.Table, where: str, rows: pa.Table) -> None:
        """Named by its ids, so that a batch written twice after a fault is one file."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.run_lock.check()
        self.store.write(f"{where}/{self._key(rows)}.parquet", buffer.getvalue())

    def _key(self, rows: pa.Table) -> str:
        names = rows[self.id_column].to_pylist()
        if FAILED_STAGE in rows.column_names and "read" in rows[FAILED_STAGE].to_pylist():
            # Rows that could not be read may have no id, or that of others.
            names += place_of_task()
        ids = json.dumps([str(value) for value in names])
        return "part-" + blake2b(ids.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _seconds(table: pa.Table, name: str) -> float:
    """Of all rows, in a column that there is where the stage has processes."""
    return pc.sum(table[name]).as_py() or 0.0 if name in table.column_names else 0.0


def _words(column: pa.ChunkedArray) -> list[str]:
    """The first words of each row, because a prompt may have any number."""
    return [word for text in column.to_pylist() if text for word in text[:TOLD].split(", ")]
