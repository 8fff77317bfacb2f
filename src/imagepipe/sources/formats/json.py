"""Tables that are one JSON array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.jsonl import LINE, Jsonl
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset

MOST_BYTES = 1 << 30  # of a file, which is held in memory as a whole
AT_ONCE = 1000  # rows
WHOLE = "bytes"  # as Ray Data's reader calls what a file holds


@dataclass(frozen=True)
class Json(Jsonl):
    """As JSON Lines, of files that are one array each."""

    name: ClassVar[str] = "json"
    suffixes: ClassVar[Suffixes] = Suffixes((".json",), compressed=True)

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        return None if self.head(filesystem, path) else "is empty"

    def lines(self, filesystem: FileSystem, path: str) -> Iterator[pa.Table]:
        with filesystem.open_input_stream(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise Unreadable(
                f"is an array of more than {MOST_BYTES >> 30} GiB, which is read as a whole",
                "Save it as JSON lines, an object a line, and set format=jsonl.",
            )
        yield from _lines(content)

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        files = ray.data.read_binary_files(paths, filesystem=filesystem, **options)
        how = {"batch_format": "pyarrow", "batch_size": 1, "num_cpus": options["num_cpus"]}
        return files.map_batches(_blocks, **how)


def _blocks(file: pa.Table) -> Iterator[pa.Table]:
    """The lines of one file, with the columns that its folders say."""
    folders = file.drop_columns(WHOLE)
    for lines in _lines(file[WHOLE][0].as_py()):
        for name in folders.column_names:
            lines = lines.append_column(name, pa.repeat(folders[name][0], lines.num_rows))
        yield lines


def _lines(content: bytes) -> Iterator[pa.Table]:
    try:
        # Bytes that are no UTF-8 pass as halves of pairs, which a line keeps as escapes.
        rows = json.loads(content.decode("utf-8-sig", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not JSON: {error}", "Write one array of objects.") from error
    if not isinstance(rows, list):
        raise Unreadable(
            "is JSON, but no array",
            "Write one array of objects: [{...}, {...}]; an object a line is format=jsonl.",
        )
    for start in range(0, len(rows), AT_ONCE):
        texts = list(map(json.dumps, rows[start : start + AT_ONCE]))
        yield pa.table({LINE: pa.array([text.encode() for text in texts], pa.binary())})
