"""Existing pictures as rows: a folder of picture files, or a table that names or holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import pyarrow as pa

from imagepipe.config.formats import FORMATS
from imagepipe.errors import UserError, listed
from imagepipe.sources import files, formats
from imagepipe.sources.formats.base import FileFormat
from imagepipe.sources.unreadable import Unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
BLOCK = 1000  # rows of a block
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SAID = "prompt"  # the text in a PNG that says what it was drawn from


@dataclass(frozen=True)
class Existing:
    """Where the pictures are. `prompt` and `image` are columns of a table; null: the usual ones.

    `field` and `image_field` are what errors name: where the path and the column were typed.
    """

    path: str
    prompt: str | None = None
    image: str | None = None
    field: str = "score"
    image_field: str = "--image"

    def blocks(self) -> Iterator[pa.Table]:
        """The rows: `id`, `prompt` (text or null), `image_path` (absolute) or `image` (bytes), and
        all that a table has besides.

        Raises UserError if there is no picture, or a column is not there.
        """
        found = Path(self.path).expanduser()
        pictures = sorted(_pictures(found)) if found.exists() else []
        if pictures:
            return _of_folder(found.absolute(), pictures, self.prompt)
        return self._of_table()

    def _of_table(self) -> Iterator[pa.Table]:
        form, found = self._found()
        number = 0
        for path in found.paths:
            try:
                schema = form.schema(found.filesystem, path, frozenset())
                image, prompt = self._columns(schema)
                for rows in form.scan(found.filesystem, path, schema, schema.names):
                    base = _base(path, rows.table[image])
                    yield _whole(rows.table, image, prompt, base, number)
                    number += rows.table.num_rows
            except Unreadable as error:
                raise UserError(
                    field=self.field, value=path, problem=error.problem, remedy=error.remedy
                ) from error

    def _found(self) -> tuple[FileFormat, files.Found]:
        """The first format that has files there."""
        for name in (name for name, line in FORMATS.items() if line.package is None):
            form = formats.of(self.field, name, {})
            if not isinstance(form, FileFormat):
                continue
            if Path(self.path).is_file() and not form.suffixes.fit(self.path):
                continue
            try:
                return form, files.find(self.field, self.path, form.suffixes)
            except UserError:
                continue
        raise UserError(
            field=self.field,
            value=self.path,
            problem="contains neither pictures nor a table of them",
            remedy=f"Name a run's folder, a folder with pictures ({', '.join(SUFFIXES)}), or a "
            f"table ({', '.join(FORMATS)}).",
        )

    def _columns(self, schema: pa.Schema) -> tuple[str, str | None]:
        """Those of the pictures and of the prompts."""
        image = _column(self.image_field, self.image, ("image", "image_path"), schema)
        if image is None:
            raise UserError(
                field=self.image_field,
                value=self.image,
                problem="the table has neither a column image nor image_path",
                remedy=f"Name the column with the files or their bytes: {listed(schema.names)}.",
            )
        return image, _column("--prompt", self.prompt, ("prompt", "base_prompt"), schema)


def _column(
    option: str, asked: str | None, usual: tuple[str, ...], schema: pa.Schema
) -> str | None:
    if asked is None:
        return next((name for name in usual if name in schema.names), None)
    if asked not in schema.names:
        raise UserError(
            field=option,
            value=asked,
            problem="is not a column of the table",
            remedy=f"Columns: {listed(schema.names, asked)}.",
        )
    return asked


def _whole(table: pa.Table, image: str, prompt: str | None, base: str, number: int) -> pa.Table:
    """`table` with the columns that a run's has; rows without an id are numbered from `number`."""
    column = table[image]
    if pa.types.is_struct(column.type) or pa.types.is_binary(column.type):
        cells = column.to_pylist()
        held = [
            c if isinstance(c, dict) or c is None else {"bytes": c, "path": None} for c in cells
        ]
        table = _set(table, "image", pa.array(held, IMAGE))
    else:
        paths = [path and _absolute(str(path), base) for path in column.to_pylist()]
        if "image" in table.column_names:  # what it holds is not the pictures
            names = ["input_image" if name == "image" else name for name in table.column_names]
            table = table.rename_columns(names)
        table = _set(table, "image_path", pa.array(paths, pa.string()))
    prompts = pa.nulls(len(table), pa.string()) if prompt is None else table[prompt]
    table = _set(table, "prompt", prompts.cast(pa.string()))
    if "id" not in table.column_names:
        ids = pa.array([str(number + i) for i in range(len(table))])
        table = table.append_column("id", ids)
    return table


def _set(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    if name not in table.column_names:
        return table.append_column(name, values)
    return table.set_column(table.schema.get_field_index(name), name, values)


def _absolute(path: str, base: str) -> str:
    return path if "://" in path or os.path.isabs(path) else f"{base}/{path}"


def _base(table: str, column: pa.ChunkedArray) -> str:
    """From where paths count: the folder of the table, or, as in a run, the one above it."""
    here = PurePath(table).parent
    for path in column.to_pylist():  # some may be gone
        for base in (here, here.parent):
            if isinstance(path, str) and os.path.exists(base / path):
                return str(base)
    return str(here)


def _pictures(found: Path) -> Iterator[Path]:
    every = found.rglob("*") if found.is_dir() else [found]
    for path in every:
        hidden = any(part.startswith(".") for part in path.relative_to(found).parts)
        if path.suffix.lower() in SUFFIXES and not hidden:
            yield path


def _of_folder(found: Path, pictures: list[Path], prompt: str | None) -> Iterator[pa.Table]:
    if prompt is not None:
        raise UserError(
            field="--prompt",
            value=prompt,
            problem="names a column, but a folder of pictures has none",
            remedy="Leave it out: the prompts are read from the PNG files. Or name a table.",
        )
    home = found if found.is_dir() else found.parent
    for start in range(0, len(pictures), BLOCK):
        some = [path.absolute() for path in pictures[start : start + BLOCK]]
        columns: Mapping[str, list[str | None]] = {
            "id": [str(path.relative_to(home)) for path in some],
            "prompt": [said(path) for path in some],
            "image_path": [str(path) for path in some],
        }
        yield pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})


def said(path: Path) -> str | None:
    """What a PNG says that it was drawn from; null if it says nothing, or is none."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            text = image.info.get(SAID)
    except (OSError, ValueError, SyntaxError):
        return None
    return text if isinstance(text, str) else None
