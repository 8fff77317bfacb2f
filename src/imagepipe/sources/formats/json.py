"""Tables that are one JSON array, of objects or of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources import contents, folders
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.broken import Signs
from imagepipe.sources.formats.jsonl import LINE, Jsonl, document
from imagepipe.sources.formats.whole import PATH, WHOLE
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset

MOST_BYTES = 1 << 30  # of a file, which is held in memory as a whole
AT_ONCE = 1000  # rows
ARRAY = "Write one array of objects: [{...}, {...}]; an object a line is format=jsonl."
OF_TEXTS = ("text", "file", "name")  # the columns of an array of bare texts


@dataclass(frozen=True)
class Json(Jsonl):
    """As JSON Lines, of files that are one array each.

    Of an array of bare texts a row has the columns `text`, `file`, the file's name without its
    ending, and `name`: `anime/0` is the first text of anime.json.
    """

    name: ClassVar[str] = "json"
    suffixes: ClassVar[Suffixes] = Suffixes((".json",), compressed=True)

    def check(self, filesystem: FileSystem, path: str, prefix: str) -> None:
        whole = document(filesystem, path)
        if isinstance(whole, dict):
            raise Unreadable("is one JSON object, and no array of them", _way(whole))
        super().check(filesystem, path, prefix)

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
        yield from _lines(content, self.suffixes.without(path))

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        by_folder = options["partitioning"]
        if not by_folder or PATH not in folders.columns(paths, by_folder.base_dir):
            options["include_paths"] = True  # which would take that column's place
        files = ray.data.read_binary_files(paths, filesystem=filesystem, **options)
        how = {"batch_format": "pyarrow", "batch_size": 1, "num_cpus": options["num_cpus"]}
        return files.map_batches(self._blocks, **how)

    def _blocks(self, file: pa.Table) -> Iterator[pa.Table]:
        """The lines of one file, with the columns that its folders say."""
        beside = file.drop_columns(WHOLE)
        name = self.suffixes.without(str(file[PATH][0]))
        for lines in _lines(file[WHOLE][0].as_py(), name):
            for column in beside.column_names:
                lines = lines.append_column(column, pa.repeat(beside[column][0], lines.num_rows))
            yield lines


def _way(whole: dict[str, Any]) -> str:
    """Where in one object the rows seem to be."""
    lists = {name: value for name, value in whole.items() if isinstance(value, list) and value}
    rows = [name for name, value in lists.items() if all(isinstance(row, dict) for row in value)]
    if rows:
        return (
            f"Its rows seem to be in {rows[0]!r}. Save that list alone: jq .{rows[0]} FILE > NEW."
        )
    if lists.keys() == whole.keys():
        return "It seems to hold columns. Write it by pandas' to_json with orient='records'."
    return ARRAY


def _lines(content: bytes, name: str) -> Iterator[pa.Table]:
    """The rows of the file `name`, which is without its ending, as lines of JSON."""
    try:
        rows, line = _read(content.removeprefix(contents.BYTE_ORDER_MARK))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not JSON: {error}", "Write one array of objects.") from error
    if not isinstance(rows, list):
        raise Unreadable(
            "is JSON, but no array",
            ARRAY,
        )
    if all(isinstance(row, str) for row in rows):
        cells = ((text, name, f"{name}/{number}") for number, text in enumerate(rows))
        rows = [dict(zip(OF_TEXTS, row, strict=True)) for row in cells]
    for start in range(0, len(rows), AT_ONCE):
        lines = list(map(line, rows[start : start + AT_ONCE]))
        yield pa.table({LINE: pa.array(lines, pa.binary())})


def _read(content: bytes) -> tuple[Any, Callable[[Any], bytes]]:
    """JSON, and what writes a part of it as a line again. Bytes that are no UTF-8 stay as such."""
    try:
        return json.loads(content.decode()), lambda row: json.dumps(row).encode()
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
        signs = Signs.beside(text, json.dumps(json.loads(text), ensure_ascii=False))
        rows = json.loads(signs.read(content))
        return rows, lambda row: signs.line(json.dumps(row, ensure_ascii=False))
