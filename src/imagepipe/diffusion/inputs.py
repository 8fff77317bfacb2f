"""The stage that reads input pictures ahead of the model, so that the model does not wait for
them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSystem, LocalFileSystem

from imagepipe.config import PICTURES, Model
from imagepipe.config.secrets import without_secrets
from imagepipe.diffusion import fitting, web
from imagepipe.diffusion.rows import RowSettings
from imagepipe.errors import UserError, one_line, shown
from imagepipe.prompts.cells import is_blank
from imagepipe.stages.pictures import PIXELS, pixels
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage
from imagepipe.store import open_url

# What the table says of the picture for `image`: what its file held, and how it went in.
DIGEST, THUMBNAIL = "model_{}_sha256", "model_{}_thumbnail"
TEXT = "{}_sha256"  # what the picture that was drawn says of it
PIXELS_OF = "model_{}_pixels"  # on the way to the model alone


@dataclass(frozen=True)
class Home:
    """Where relative paths start: a table's folder, or, as in a run's table, the one above.

    `filesystem` null: the table is in no folder, and they start where the command was typed.
    """

    filesystem: FileSystem | None
    folder: str

    def find(self, path: str) -> tuple[FileSystem, str]:
        """Where `path` is. Raises FileNotFoundError if a relative path leads nowhere."""
        if self.filesystem is None or os.path.isabs(path):
            return LocalFileSystem(), os.path.join(self.folder, path)
        first = f"{self.folder}/{path}"
        for place in (first, f"{os.path.dirname(self.folder)}/{path}"):
            if self.filesystem.get_file_info(place).is_file:
                return self.filesystem, place
        raise FileNotFoundError(first)


def stage(settings: RowSettings, homes: Mapping[str, Home]) -> Stage:
    """The stage that reads, for each of `settings.pictures`, the picture that a row names or holds.

    Adds `model_<key>_pixels` (PIXELS, in the size of the row's picture; null if the row's
    settings give none), `model_<key>_sha256` (text, of the file's bytes as they came) and
    `model_<key>_thumbnail` (a JPEG of what goes in). `homes` are by key. A picture that cannot be
    had fails its row.
    """
    adds = []
    for key in settings.pictures:
        adds += [
            pa.field(PIXELS_OF.format(key), PIXELS),
            pa.field(DIGEST.format(key), pa.string()),
            pa.field(THUMBNAIL.format(key), pa.binary()),
        ]
    reads = dict.fromkeys((*settings.pictures.values(), *settings.columns.values()))
    work = partial(_worker, settings, dict(homes))
    return Stage(PICTURES, tuple(reads), pa.schema(adds), work)


def _worker(settings: RowSettings, homes: dict[str, Home]) -> _Reader:
    return _Reader(settings, homes)


class _Reader:
    def __init__(self, settings: RowSettings, homes: dict[str, Home]) -> None:
        self.settings, self.homes = settings, homes
        self.as_drawn = settings.maker()

    def __call__(self, rows: pa.Table) -> Columns:
        columns: dict[str, list[Any]] = {}
        reasons: list[str | None] = [None] * rows.num_rows
        drawn = [self.as_drawn(cells)[0] for cells in self.settings.cells(rows)]
        for key, name in self.settings.pictures.items():
            found = []
            for place, (cell, model) in enumerate(zip(rows[name], drawn, strict=True)):
                try:
                    found.append(self._read(key, cell.as_py(), model))
                except (fitting.Unusable, web.Unfetched, OSError, UserError) as error:
                    why = f"column {name!r}, for {key}, holds {_named(cell)}: {_plain(error)}"
                    reasons[place] = reasons[place] or why
                    found.append((None, None, None))
            for pattern, values in zip(
                (PIXELS_OF, DIGEST, THUMBNAIL), zip(*found, strict=True), strict=True
            ):
                columns[pattern.format(key)] = list(values)
        return {**columns, FAILED_REASON: reasons}

    def _read(self, key: str, cell: Any, model: Model | None) -> tuple[Any, Any, Any]:
        if model is None:  # the model's stage says why
            return None, None, None
        content = _bytes_of(cell, self.homes[key], private=model.private_urls)
        picture = fitted(content, model)
        held = pixels(fitting.pixels(picture)[None])
        return held, digest(content), fitting.thumbnail(picture)


def fitted(content: bytes, model: Model) -> Any:
    """The input picture in a file, in the size that `model` draws. Raises Unusable."""
    return fitting.fitted(fitting.decoded(content), model.width, model.height, model.fit)


def decisive(columns: Iterable[str]) -> tuple[str, ...]:
    """The columns that decide the model's result for a row: instead of pixels, which the table
    does not keep, the digest of the picture's file.
    """
    before, after = PIXELS_OF.split("{}")
    keys = {name: name.removeprefix(before).removesuffix(after) for name in columns}
    return tuple(DIGEST.format(k) if PIXELS_OF.format(k) == n else n for n, k in keys.items())


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def file_of(cell: Any, home: Home) -> tuple[FileSystem, str] | None:
    """The file that a cell names; null if the cell holds the picture, is blank, or is an address
    elsewhere. Raises FileNotFoundError if a relative path leads nowhere.
    """
    cell = _held(cell)
    if not isinstance(cell, str) or is_blank(cell):
        return None
    scheme, is_address, _ = cell.partition("://")
    if is_address:
        return open_url("model.columns", cell) if scheme.lower() == "file" else None
    return home.find(cell)


def _held(cell: Any) -> Any:
    """A path, an address or bytes, also in Hugging Face's form {bytes, path}."""
    return cell.get("bytes") or cell.get("path") if isinstance(cell, dict) else cell


def _bytes_of(cell: Any, home: Home, *, private: bool) -> bytes:
    """The bytes of the picture that a cell holds or names."""
    cell = _held(cell)
    if isinstance(cell, bytes):
        return cell
    if not isinstance(cell, str) or is_blank(cell):
        raise fitting.Unusable("there is no picture")
    scheme, is_address, _ = cell.partition("://")
    if not is_address:
        return _content(*home.find(cell))
    if scheme.lower() in web.WEB:
        return web.fetch(cell, web.MOST_BYTES, None if private else web.is_private)
    if not private:
        web.check_store(cell)
    return _content(*open_url("model.columns", cell))


def _content(filesystem: FileSystem, path: str) -> bytes:
    with filesystem.open_input_file(path) as file:
        if file.size() > web.MOST_BYTES:
            raise fitting.Unusable(f"is larger than {web.MOST_BYTES >> 20} MiB")
        return bytes(file.read())


def _named(cell: pa.Scalar) -> str:
    value = cell.as_py()
    if isinstance(value, dict):
        value = value.get("path") or value.get("bytes")
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    try:  # a signed link lets in whoever reads it, and reasons are sent to MLflow
        return shown(without_secrets(str(value)))
    except ValueError:
        return "what is not an address"


def _plain(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UserError):
        return error.problem
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else one_line(error)
