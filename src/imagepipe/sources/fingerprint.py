"""Fingerprints of tables, to see whether a resumed run would read the same rows."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from imagepipe.sources.tables import Table, Tables


def fingerprint(tables: Tables) -> list[dict[str, Any]]:
    """{name, rows, columns, bytes, content} of the left table, then of each joined one, at the end
    {name, content} of the wildcards in each template, where there are such.

    `bytes` is as `Table.size` has it, `content` a digest over what the format says of the files;
    their names are not in it, so that a table may move.
    """
    every = [tables.left, *(join.table for join in tables.joins)]
    found: list[dict[str, Any]] = [
        {
            "name": table.name,
            "rows": table.rows,
            "columns": [f"{field.name} {field.type}" for field in table.schema],
            "bytes": table.size,
            "content": _content(table),
        }
        for table in every
    ]
    for key, template in tables.templates.items():
        name = "dataset.wildcards" if key == "dataset.prompt" else key
        if template.wildcards:
            found.append({"name": name, "content": template.wildcards})
    return found


def _content(table: Table) -> str:
    digest = blake2b(digest_size=16)
    for file in table.files:
        digest.update(f"{file.rows}:".encode())
        what = (table.filesystem, file.path, table.in_files, table.used)
        for chunk in table.form.content(*what):
            digest.update(chunk)
    return digest.hexdigest()
