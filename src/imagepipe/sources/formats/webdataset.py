"""WebDataset shards: tar archives in which the files of one row follow each other."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.compat.ray_data import read_webdataset
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.jsonl import LINE, Jsonl
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset

KEY = "__key__"
TEXTS = ("txt", "text", "caption", "cls")  # endings of files that are a column of text
AT_ONCE = 1000  # rows
NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")  # KEY and ending of a file


@dataclass(frozen=True)
class WebDataset(Jsonl):
    """A row has `__key__`, the fields of KEY.json, and the text of KEY.txt and its like.

    Pictures and whatever else a row's files are stay where they are.
    """

    name: ClassVar[str] = "webdataset"
    suffixes: ClassVar[Suffixes] = Suffixes((".tar",), compressed=True)

    def check(self, filesystem: FileSystem, path: str, prefix: str) -> None:
        if self.head(filesystem, path).strip(b"\0"):  # an archive of nothing is but zeros
            super().check(filesystem, path, prefix)

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        return None if self.head(filesystem, path) else "is empty"

    def lines(self, filesystem: FileSystem, path: str) -> Iterator[pa.Table]:
        try:
            with (
                filesystem.open_input_stream(path) as file,
                tarfile.open(fileobj=file, mode="r|") as tar,
            ):
                rows = (as_line(sample) for sample in _samples(tar))
                while part := list(islice(rows, AT_ONCE)):
                    yield pa.table({LINE: pa.array([row[LINE] for row in part], pa.binary())})
        except tarfile.TarError as error:
            raise Unreadable(f"is not a tar archive: {error}", "Name the shards, *.tar.") from error

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        del options["partitioning"]  # which its reader has not
        options |= {"filesystem": filesystem, "decoder": [as_line], "file_extensions": None}
        return read_webdataset(paths, **options)


def _samples(tar: tarfile.TarFile) -> Iterator[dict[str, Any]]:
    """The files of each row by their endings, and its KEY, as Ray Data's reader gives them.

    Raises Unreadable if those of one row stand apart, as that reader does.
    """
    named = ((member, NAME.fullmatch(member.name)) for member in tar if member.isreg())
    files = ((found[1], found[2], member) for member, found in named if found)
    seen: set[str] = set()
    for key, members in groupby(files, itemgetter(0)):
        if key in seen:
            raise Unreadable(
                f"has files of {key!r} in two places", "Write the shard again, sorted by name."
            )
        seen.add(key)
        yield {KEY: key, **{ending: _content(tar, ending, one) for _, ending, one in members}}


def _content(tar: tarfile.TarFile, ending: str, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if ending.lower() in (*TEXTS, "json") else None
    return file.read() if file else b""


def as_line(sample: dict[str, Any]) -> dict[str, bytes]:
    """A row's files as one object of JSON, in the column LINE. Raises Unreadable."""
    row: dict[str, Any] = {KEY: sample[KEY]}
    sample = {name.lower(): content for name, content in sample.items()}  # as webdataset does
    row |= {name: sample[name].decode("utf-8", "replace") for name in TEXTS if name in sample}
    if "json" in sample:
        try:
            fields = json.loads(sample["json"])
        except ValueError as error:
            raise Unreadable(
                f"holds {sample[KEY]}.json, which is not JSON: {error}", "Write the shard again."
            ) from error
        row |= fields if isinstance(fields, dict) else {"json": fields}
    return {LINE: json.dumps(row).encode()}
