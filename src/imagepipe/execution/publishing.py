"""Pushes a finished run to Hugging Face's hub."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from imagepipe import shell, sources
from imagepipe.config import Config
from imagepipe.errors import RunFailed, UserError
from imagepipe.reports.summary import write_json
from imagepipe.sink import card, hub
from imagepipe.sink.parts import written_parts
from imagepipe.store import Store


def check(config: Config, rows: int, in_a_part: int) -> None:
    """Raise UserError if a run with so many rows could not be pushed to `sink.hub` at its end.

    `in_a_part`: the most rows in one part of the table.
    """
    parts = ceil(rows / in_a_part)
    hub.check(config.sink, rows * config.model.images_per_prompt, parts=parts)


def publish(config: Config, folder: Path, summary: dict[str, Any], tables: sources.Tables) -> None:
    """Push the finished run of `summary` to `sink.hub`, unless it is there already.

    Afterwards `summary`, also the file in `folder`, has the address. Raises RunFailed if it cannot
    be pushed; the run itself is complete.
    """
    name, store = config.sink.hub, Store.of(config.sink.path, folder)
    parts = written_parts(store)
    if name is None or not parts or (summary.get("hub") or {}).get("name") == name:
        return
    if not store.exists(card.NAME):
        own = {tables.renamed.get(name, name) for name in tables.columns}
        text = card.card(config, summary, pq.read_schema(store.open(parts[0])), own)
        store.write(card.NAME, text.encode())
    try:
        summary["hub"] = {"name": name, "url": hub.push(store.url, name, config.sink)}
    except UserError as error:
        raise RunFailed(
            f"the run is complete, and it is not on the hub: {error}\n"
            f"  folder: {folder}\n  push it again: {shell.resume_command(folder)} sink.hub={name}"
        ) from error
    write_json(folder / "summary.json", summary)
