"""The section `dataset`: which tables are read, and what is made of a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import bounded, choice
from imagepipe.config.formats import FORMATS


@dataclass
class Join:
    """A second table, looked up by key. `path` null: no join."""

    path: Any = None  # one file, folder or URL, or a list of them
    format: str | None = choice(None, FORMATS)  # null: the dataset's own
    read: dict[str, Any] | None = None  # the format's options; null: the dataset's own
    on: Any = None  # the key column or a list of them, of the same name on both sides
    # cross: each row with every row of the table, whatever they hold
    how: str = choice("inner", ("inner", "left", "anti", "cross"))
    # broadcast (right side in memory), shuffle (Ray Data's join), auto
    method: str = choice("auto", ("auto", "broadcast", "shuffle"))


@dataclass
class Dataset:
    """The table of things to draw, one picture (or `images_per_prompt`) for each row."""

    name: str = MISSING
    path: Any = MISSING
    format: str = choice(MISSING, FORMATS)
    read: dict[str, Any] = field(default_factory=dict)  # the format's options: delimiter, split
    id: str = MISSING  # the column that names a row; unique, and the picture's file name
    prompt: str = MISSING  # template over the columns: "{animal} wearing a {red|blue} {outfit}"
    wildcards: str | None = None  # a folder of NAME.txt, a choice a line: __NAME__ in the prompt
    category: str | None = None  # a column; a comparison has figures for each of its values
    join: Join = field(default_factory=Join)
    more_joins: list[Join] = field(default_factory=list)  # further tables, joined in turn
    repeat: int = bounded(1, least=1)  # each row so many times, as <id>-r0, <id>-r1, ...
    # more rows than that are not made by repeat and crossed joins
    most_rows: int = bounded(1_000_000, least=1)
    look_through_rows: int = 2_000_000  # up to this many ids are checked before the run starts
