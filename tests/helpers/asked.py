"""A dataset as the configuration asks for it, its files, and what the scan says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagepipe.config import Dataset
from imagepipe.errors import UserError
from imagepipe.prompts.template import base_prompts
from imagepipe.sources import scan
from imagepipe.sources.blocks import scanned

SUFFIX = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet"}


def dataset(path: Path | str, format: str | None = None, **more: Any) -> Dataset:
    """Ids are in `id`, the prompt is `what`."""
    format = format or SUFFIX[Path(path).suffix]
    asked = {"name": "t", "path": str(path), "format": format, "id": "id", "prompt": "{what}"}
    return Dataset(**{**asked, **more})


def written(path: Path, content: str | bytes | list[Any] | dict[str, Any] | pa.Table) -> Path:
    """Text, bytes, rows as lines of JSON, or columns as Parquet, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict | pa.Table):
        pq.write_table(pa.table(content), path)
    elif isinstance(content, list):
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(asked: Dataset, limit: int | None = None) -> UserError:
    """What the scan refuses it with."""
    with pytest.raises(UserError) as caught:
        scan(asked, limit)
    return caught.value


def prompts_of(asked: Dataset) -> list[str | None]:
    """The base prompts of all rows that are good, and null for others, without Ray."""
    left = scan(asked, None).left
    found: list[str | None] = []
    for file in left.files:
        for rows in scanned(left, file, left.schema.names):
            prompts, _ = base_prompts(asked.prompt, {}, rows.table)
            reasons = rows.reasons(left.used)
            found += [None if why else text for text, why in zip(prompts, reasons, strict=True)]
    return found


def with_broken_page(path: Path) -> Path:
    """A Parquet file whose footer is whole, so that only a reader of its rows sees it."""
    written(path, {"id": ["2"], "what": ["b" * 1000]})
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(1)
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    return path
