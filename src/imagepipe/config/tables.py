"""The section `dataset`: the tables to read, and the prompt template."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import bounded, choice
from imagepipe.config.formats import FORMATS


@dataclass
class Join:
    """A second table, looked up by key. `path` null: no join."""

    path: Any = None  # a file, a folder or a URL, or a list of them; null: no join
    format: str | None = choice(None, FORMATS)  # null: as dataset.format
    read: dict[str, Any] | None = None  # options of the format; null: as dataset.read
    on: Any = None  # the key column, or a list of them, with the same name in both tables
    # cross: each row with every row of this table, without a key
    how: str = choice("inner", ("inner", "left", "anti", "cross"))
    # broadcast: this table in the memory of each process; shuffle: Ray Data's join; auto: broadcast
    # up to 1,000,000 rows and 256 MiB
    method: str = choice("auto", ("auto", "broadcast", "shuffle"))


@dataclass
class Dataset:
    """The table of things to draw, one picture (or `images_per_prompt`) for each row."""

    name: str = MISSING  # name in reports
    path: Any = MISSING  # a file, a folder or a URL, or a list of them
    format: str = choice(MISSING, FORMATS)
    read: dict[str, Any] = field(default_factory=dict)  # options of the format: delimiter, split
    id: str = MISSING  # column that identifies a row; unique; becomes the picture's file name
    prompt: str = MISSING  # template with columns: "{animal} wearing a {red|blue} {outfit}"
    # folder with NAME.txt, one choice per line, for __NAME__ in prompts
    wildcards: str | None = None
    category: str | None = None  # column; scores are also reported for each of its values
    join: Join = field(default_factory=Join)
    # more tables, joined one after another: [{path: c.csv, on: id}]
    more_joins: list[Join] = field(default_factory=list)
    repeat: int = bounded(1, least=1)  # use each row this many times, as <id>-r0, <id>-r1, ...
    # most rows that repeat and cross joins may make
    most_rows: int = bounded(1_000_000, least=1)
    scan_rows: int = 2_000_000  # repeated ids are looked for in tables of at most this many rows
