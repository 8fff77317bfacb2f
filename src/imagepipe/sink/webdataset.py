"""WebDataset shards: a tar with `<key>.png` (or jpg, webp) and `<key>.json` side by side.

JSON has no column types, so readers take them from the first rows. So that they find the same types
in every row, a missing text is "". Bytes are base64, and numbers that are not finite are null.
"""

from __future__ import annotations

import base64
import io
import json
import math
import tarfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa


def shard(table: pa.Table, pngs: list[bytes]) -> bytes:
    """A tar with one picture per row of `table`, which has `image_path`."""
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for row, png in zip(_described(table), pngs, strict=True):
            row |= {name: "" for name in texts if row[name] is None}
            text = json.dumps(_json(row), default=str, ensure_ascii=False, allow_nan=False)
            _add(tar, shard_member(row["image_path"]), png)
            _add(tar, _json_member(row["image_path"]), text.encode("utf-8", "replace"))
    return buffer.getvalue()


def without(shard: bytes, image_paths: Collection[str]) -> bytes:
    """The tar `shard` without the samples of those pictures."""
    gone = {name for path in image_paths for name in (shard_member(path), _json_member(path))}
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(shard)) as before,
        tarfile.open(fileobj=buffer, mode="w") as after,
    ):
        for member in before:
            if member.name not in gone:
                after.addfile(member, before.extractfile(member))
    return buffer.getvalue()


def shard_key(image_path: str) -> str:
    """A sample's name inside a shard; it has no dot, because WebDataset ends it at the first
    one.
    """
    return Path(image_path).stem.replace(".", "%2E")


def shard_member(image_path: str) -> str:
    """The name of the sample's picture."""
    return f"{shard_key(image_path)}{Path(image_path).suffix}"


def _json_member(image_path: str) -> str:
    return f"{shard_key(image_path)}.json"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _json(value: Any) -> Any:
    """`value` as a JSON value."""
    if isinstance(value, dict):
        return {name: _json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _described(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as Python values; values that Python does not have, such as a far date, become
    text, or null.
    """
    try:
        return table.to_pylist()
    except (OverflowError, ValueError):
        columns = {name: [value_of(cell) for cell in table[name]] for name in table.column_names}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def value_of(cell: pa.Scalar) -> Any:
    """As a Python value; as text if Python has none for it, or null."""
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        with suppress(pa.ArrowException, ValueError):
            return cell.cast(pa.string()).as_py()
        return None
