"""The table formats by name. A new one is a class like these and a line here."""

from __future__ import annotations

from imagepipe.sources.csv import Csv
from imagepipe.sources.format import Format
from imagepipe.sources.jsonl import Jsonl
from imagepipe.sources.parquet import Parquet

FORMATS: dict[str, Format] = {"csv": Csv(), "jsonl": Jsonl(), "parquet": Parquet()}
