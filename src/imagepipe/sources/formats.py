"""The table formats by name. A new one is a class like these and a line here."""

from __future__ import annotations

from typing import Any

from pyarrow.fs import FileSystem

from imagepipe.sources import parquet
from imagepipe.sources.csv import Csv
from imagepipe.sources.format import Format
from imagepipe.sources.jsonl import Jsonl
from imagepipe.sources.parquet import Parquet

FORMATS: dict[str, Format] = {"csv": Csv(), "jsonl": Jsonl(), "parquet": Parquet()}


def features(form: str, filesystem: FileSystem, path: str) -> dict[str, Any]:
    """What a file says of its columns to Hugging Face's `datasets`; only Parquet can."""
    return parquet.features(filesystem, path) if form == "parquet" else {}
