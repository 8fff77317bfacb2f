"""The rows of a run as the gallery shows them, read part by part."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.reports.beside import Copies, files_of, seen_from
from imagepipe.reports.page import encodable
from imagepipe.sink.parts import encoded
from imagepipe.sink.thumbnails import FOLDER, thumbnail
from imagepipe.sink.webdataset import value_of
from imagepipe.store import Store

TEXT = 4000  # characters of a cell that the page has
EXACT = 1 << 53  # what is larger is a text in JavaScript, or it would be another number
AT_ONCE = 1000  # rejected rows that are held
# By which the files that a browser shows begin.
MAGIC = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp"}
SUFFIXES = (*MAGIC.values(), ".jpeg", ".avif", ".bmp")
WRITTEN = "written"


@dataclass(frozen=True)
class Entry:
    """A row of the gallery. `picture` and each of `inputs`, the pictures in its columns, are
    addresses as the page sees them, the full one and a small one; null if there is none.

    A row without a picture says why in `reason`.
    """

    id: str
    status: str  # WRITTEN, or as in `parts.REJECTED`
    cells: dict[str, Any]
    picture: Sequence[str | None] = (None, None)
    inputs: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Rows:
    """Reads a run's rows for a page in `folder`. `ids` are the columns that may name a row, and
    `inputs` the folders in which paths of pictures may begin.
    """

    folder: Path
    store: Store
    ids: Sequence[str]
    copies: Copies
    inputs: Sequence[Path] = ()
    thumbnails: frozenset[str] = frozenset()

    def written(self, part: str, places: Sequence[int] | None = None) -> Iterator[Entry]:
        """The rows of a part of the table, or those at `places`."""
        file = pq.ParquetFile(self.store.open(part))
        names = file.schema_arrow.names
        own = [f"{name}.path" if name == "image" else name for name in names]
        rows = file.read(columns=own)
        rows = rows if places is None else rows.take(pa.array(places, pa.int64()))
        cells = {name: values(rows[name]) for name in rows.column_names}
        inside = [image and image["path"] for image in cells.pop("image", [])]
        paths = cells.get("image_path") or inside or [None] * len(rows)
        full = self._full(part, file, places, paths)
        for place, path in enumerate(paths):
            row = {name: each[place] for name, each in cells.items()}
            yield self._entry(row, WRITTEN, picture=(full[place], self._small(path)))

    def rejected(self, name: str, most: int) -> Iterator[Entry]:
        """Up to `most` rows of `failed.parquet` and its like; the last two columns say why."""
        left = most
        if left and self.store.exists(f"{name}.parquet"):
            file = pq.ParquetFile(self.store.open(f"{name}.parquet"))
            for batch in file.iter_batches(AT_ONCE):
                rows = pa.Table.from_batches([batch]).slice(0, left)
                left -= len(rows)
                cells = {name: values(rows[name]) for name in rows.column_names}
                for place in range(len(rows)):
                    row = {name: each[place] for name, each in cells.items()}
                    why = ": ".join(str(row[name]) for name in rows.column_names[-2:])
                    yield self._entry(row, name, reason=encodable(why[:TEXT]))
                if left == 0:
                    return

    def _entry(self, row: dict[str, Any], status: str, **more: Any) -> Entry:
        name = next((row[name] for name in self.ids if row.get(name) is not None), "")
        inputs = {}
        for column, value in row.items():
            if column != "image_path" and (found := self._input(value)):
                inputs[encodable(column)] = (found, None)
        cells = {encodable(column): cell(value) for column, value in row.items()}
        return Entry(encodable(str(name)), status, cells, inputs=inputs, **more)

    def _full(
        self,
        part: str,
        file: pq.ParquetFile,
        places: Sequence[int] | None,
        paths: Sequence[str | None],
    ) -> list[str | None]:
        """Where the pictures of rows are: files, or copies of what is in the table or a shard."""
        base = files_of(self.store, self.folder)
        if base is None:
            return [None] * len(paths)
        found: list[str | None] = [self._file(base, path) for path in paths]
        if all(found) or self.copies.room < 0:
            return found
        names = [name for name in ("image", "image_path") if name in file.schema_arrow.names]
        rows = file.read(columns=names)
        rows = rows if places is None else rows.take(pa.array(places, pa.int64()))
        for place, content in enumerate(encoded(self.store, part, rows)):
            path = paths[place]
            if content and path and found[place] is None:
                found[place] = self.copies.add(f"pictures/{PurePosixPath(path).name}", content)
        return found

    def _file(self, base: str, path: str | None) -> str | None:
        """Where the file `path` of the store is, which may be an absolute one elsewhere."""
        if not path or "://" in path or not Path(self.store.url, path).is_file():
            return None
        return seen_from(self.folder, path) if os.path.isabs(path) else f"{base}/{quote(path)}"

    def _small(self, path: str | None) -> str | None:
        name = thumbnail(path) if path else ""
        base = files_of(self.store, self.folder)
        return f"{base}/{quote(name)}" if base is not None and name in self.thumbnails else None

    def _input(self, value: Any) -> str | None:
        """Where the page finds the picture that a cell names or holds; null of any other cell."""
        if isinstance(value, dict) and value.keys() == {"bytes", "path"}:
            value = value["bytes"] or value["path"]
        if isinstance(value, bytes):
            suffix = next((s for magic, s in MAGIC.items() if value.startswith(magic)), None)
            name = blake2b(value, digest_size=12).hexdigest()
            return self.copies.add(f"inputs/{name}{suffix}", value) if suffix else None
        if not isinstance(value, str) or not value.lower().endswith(SUFFIXES):
            return None
        places = (Path(base, os.path.expanduser(value)) for base in self.inputs)
        found = next((place for place in places if _is_file(place)), None)
        return seen_from(self.folder, found) if found else None


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except (OSError, ValueError):  # a text that can be no name of a file
        return False


def thumbnails_in(store: Store) -> frozenset[str]:
    """The small pictures that the writers left."""
    return frozenset(store.parts(FOLDER))


def values(column: pa.ChunkedArray) -> list[Any]:
    """As Python has them; where it has none, as text or null."""
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):
        return [value_of(one) for one in column]


def cell(value: Any) -> Any:
    """A cell as the page has it: a number that JavaScript holds exactly, a text, or null."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= EXACT:
        return value
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return encodable(str({name: cell(one) for name, one in value.items()})[:TEXT])
    text = str(value)
    return encodable(text if len(text) <= TEXT else f"{text[: TEXT - 1]}…")
