"""The result of `scan` that `read` needs: plain, picklable facts about the tables."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.diffusion.inputs import Home
from imagepipe.prompts import Template
from imagepipe.sources.formats.base import Format

# Names of the pipeline's own columns; an input column of such a name is renamed `input_<name>`.
RESERVED = frozenset(
    (
        "base_prompt",
        "prompt",
        "drawn_at",
        "prompt_cut",
        "unknown_words",
        "season",
        "seed",
        "image",
        "image_path",
        "image_index",
        "image_hash",
        "score",
        "failed_stage",
        "failed_reason",
        "stage",
        "reason",
    )
)
RESERVED_PREFIXES = ("llm_", "model_", "score_", "scorer_", "sink_", "imagepipe_")

KEY = "imagepipe_key"  # the join key as text, or the id where second rows are sought
# The bytes of cells that are no text, by column; of a row that is rejected they are written again.
ORIGINAL = "imagepipe_original"
ORIGINAL_TYPE = pa.list_(pa.struct([("column", pa.string()), ("cell", pa.binary())]))
NOTE = "imagepipe_note"  # of a matching right row: "" or what is wrong with it; null: no match


@dataclass(frozen=True)
class File:
    """One file of a table, and how many rows it holds."""

    path: str
    rows: int


@dataclass(frozen=True)
class Table:
    """One table: its files in reading order, no more of them than `rows` needs.

    `schema` has the original names and the types that the columns come out with. `unique` says
    that all keys were scanned and none is there twice; `size` is in bytes, of the files
    (of Parquet uncompressed). Columns `used` decide what becomes of a row. The `folders` are
    columns too, by the names of folders below `base`. `left_out` are files beside those of the
    table, and why; `notes` say what the user should know of it. `features` say by column what
    Hugging Face's `datasets` takes its cells for, such as pictures.
    """

    name: str
    form: Format
    filesystem: FileSystem | None
    files: tuple[File, ...]
    schema: pa.Schema
    rows: int
    size: int
    unique: bool
    used: frozenset[str] = frozenset()
    base: str = ""
    folders: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_files(self) -> pa.Schema:
        """The columns that stand in the files themselves."""
        return pa.schema([column for column in self.schema if column.name not in self.folders])


@dataclass(frozen=True)
class Join:
    """A table looked up by the columns `on`, whose columns `adds` (original names) are taken.

    `like` are the types of those columns in the table to the left.
    """

    table: Table
    on: tuple[str, ...]
    how: str
    method: str
    reason: str
    adds: tuple[str, ...]
    like: tuple[pa.DataType, ...]

    @property
    def types(self) -> tuple[pa.DataType, ...]:
        """Those of the key columns in the table that is looked up."""
        return tuple(self.table.schema.field(name).type for name in self.on)


@dataclass(frozen=True)
class Tables:
    """All that a run reads. `id` is the id column's name in the Dataset, and `category` that of
    the column of categories; `renamed` maps the original names of columns to their names there,
    where the two differ.

    `texts` are the templates in `model.columns`, by their keys, and `first_ids` the first eight
    good ones, in file order.
    """

    left: Table
    joins: tuple[Join, ...]
    id: str
    template: Template
    renamed: Mapping[str, str]
    first_ids: tuple[str, ...]
    notes: tuple[str, ...] = ()
    category: str | None = None
    texts: Mapping[str, Template] = field(default_factory=dict)
    repeat: int = 1  # how often each row of the left table comes

    @property
    def times(self) -> int:
        """How many rows one of the left table becomes."""
        crossed = (join.table.rows for join in self.joins if join.how == "cross")
        return self.repeat * math.prod(crossed)

    @property
    def templates(self) -> dict[str, Template]:
        """All templates, by the keys that hold them."""
        return {"dataset.prompt": self.template} | {
            f"model.columns.{key}": text for key, text in self.texts.items()
        }

    @property
    def varies(self) -> bool:
        """Whether the templates hold choices."""
        return any(template.varies for template in self.templates.values())

    def numbers(self, joins: int | None = None) -> int:
        """How many numbers stand behind an id after so many joins, or after all."""
        crossed = sum(join.how == "cross" for join in self.joins[:joins])
        return (self.repeat > 1) + crossed

    def schema(self, joins: int | None = None) -> pa.Schema:
        """The columns by their names in the Dataset, after so many joins, or after all."""
        fields = list(self.left.schema)
        for join in self.joins[:joins]:
            fields += [join.table.schema.field(name) for name in join.adds]
        types = {self.renamed.get(field.name, field.name): field.type for field in fields}
        return pa.schema(types | ({self.id: pa.string()} if self.numbers(joins) else {}))

    @property
    def before_ids(self) -> int:
        """After how many joins each row has the id that it keeps."""
        return max((n for n, join in enumerate(self.joins, 1) if join.how == "cross"), default=0)

    @property
    def left_out(self) -> dict[str, str]:
        """The files beside those that are read, and why they are not."""
        every = [self.left, *(join.table for join in self.joins)]
        return {path: why for table in every for path, why in table.left_out.items()}

    @property
    def features(self) -> dict[str, Any]:
        """Those of all tables, by the columns' names in the Dataset; not of ids with numbers behind
        them, which are text.
        """
        joined = {n: f for j in self.joins for n, f in j.table.features.items() if n in j.adds}
        every = {**joined, **self.left.features}
        named = {self.renamed.get(name, name): feature for name, feature in every.items()}
        return {n: f for n, f in named.items() if n != self.id or not self.numbers()}

    @property
    def rows(self) -> int:
        """Rows that the run reads, after `limit`, repeated and crossed."""
        return self.left.rows * self.times

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The left table's columns, by their original names."""
        return tuple(self.left.schema.names)

    def table(self, column: str) -> Table:
        """The one that has `column`, by its original name."""
        joined = (join.table for join in self.joins if column in join.adds)
        return self.left if column in self.input_columns else next(joined)

    def homes(self, columns: Mapping[str, str]) -> dict[str, Home]:
        """By the keys of `columns` (original names), from where paths in each of them count."""
        found = {key: self.table(name) for key, name in columns.items()}
        return {key: Home(one.filesystem, one.base or os.getcwd()) for key, one in found.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, by their original names: what a prompt template may name."""
        return (*self.input_columns, *(name for join in self.joins for name in join.adds))

    @property
    def scanned(self) -> bool:
        """Whether all ids were compared, so that none can turn up a second time."""
        return self.left.unique

    @property
    def shuffled(self) -> bool:
        """Whether rows have to be brought together by key before the first can go on."""
        return not self.scanned or any(join.method == "shuffle" for join in self.joins)


def new_names(columns: Iterable[str]) -> dict[str, str]:
    """`input_<name>` for each of `columns` that the pipeline's own columns would collide with.

    Or another of them: names that differ by case alone are one name to DuckDB and to some disks.
    """
    columns = list(columns)
    taken = {name.lower() for name in columns}
    seen: set[str] = set()
    renamed = {}
    for name in columns:
        low = name.lower()
        if low in RESERVED or low.startswith(RESERVED_PREFIXES) or low in seen:
            new = f"input_{name}"
            while new.lower() in taken:
                new = f"input_{new}"
            taken.add(new.lower())
            renamed[name] = new
        seen.add(low)
    return renamed
