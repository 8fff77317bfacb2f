"""The table of formats: what imagepipe must know of a format before it is imported.

A new format is a file in `sources/formats/` and a line here. The table names classes and imports
none of them, so the configuration can read it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A format's class, and the package that it needs if the base install lacks it."""

    made_by: str
    package: str | None = None  # the module that is imported
    extra: str | None = None  # of imagepipe, which installs it
    on_hub: bool = False  # its paths are names on Hugging Face's hub


FORMATS = {
    "csv": Line("imagepipe.sources.formats.csv.Csv"),
    "tsv": Line("imagepipe.sources.formats.csv.Tsv"),
    "jsonl": Line("imagepipe.sources.formats.jsonl.Jsonl"),
    "json": Line("imagepipe.sources.formats.json.Json"),
    "parquet": Line("imagepipe.sources.formats.parquet.Parquet"),
    "images": Line("imagepipe.sources.formats.images.Images"),
    "text": Line("imagepipe.sources.formats.text.Text"),
    "webdataset": Line("imagepipe.sources.formats.webdataset.WebDataset"),
    "huggingface": Line(
        "imagepipe.sources.formats.huggingface.HuggingFace",
        *("datasets", "huggingface"),
        on_hub=True,
    ),
    "sql": Line("imagepipe.sources.formats.sql.Sql", "sqlalchemy", "sql"),
    "lance": Line("imagepipe.sources.formats.lance.Lance", "lance", "lance"),
    "iceberg": Line("imagepipe.sources.formats.iceberg.Iceberg", "pyiceberg", "iceberg"),
    "delta": Line("imagepipe.sources.formats.delta.Delta", "deltalake", "delta"),
}
