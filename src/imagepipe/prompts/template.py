"""From a row to its base prompt: pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pyarrow as pa

from imagepipe.prompts import choices, seeds
from imagepipe.prompts.cells import cell_texts, without_numbers
from imagepipe.prompts.choices import Parts
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage

# Unicode's category Cc without tab and line ends, which cells of several lines hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
LOST = "\ufffd"
NO_TEXTS: Mapping[str, Template] = {}


def stage(
    template: Template,
    renamed: Mapping[str, str],
    run_seed: int,
    id_column: str,
    seed_column: str | None = None,
    numbers: int = 0,
    texts: Mapping[str, Template] = NO_TEXTS,
) -> Stage:
    """The stage that adds `base_prompt`, the filled template, and `seed`, the row's own: what
    stands in `seed_column`, or, where that is null, what the run's seed and the id make. Further
    `texts` go into columns of those names, which make choices of their own.

    `numbers` stand behind each id, which the template sees without them.
    """
    every = {"base_prompt": template, **texts}
    names = dict.fromkeys(name for one in every.values() for name in one.columns)
    reads = [renamed.get(name, name) for name in names]
    reads += [] if seed_column is None else [seed_column]
    adds = pa.schema([*((name, pa.string()) for name in every), ("seed", pa.int64())])
    recipe = partial(_worker, every, dict(renamed), run_seed, id_column, seed_column, numbers)
    return Stage("prompt", reads=(id_column, *reads), adds=adds, recipe=recipe)


def _worker(
    templates: Mapping[str, Template],
    renamed: Mapping[str, str],
    run_seed: int,
    id_column: str,
    seed_column: str | None,
    numbers: int,
) -> Callable[[pa.Table], Columns]:
    def work(rows: pa.Table) -> Columns:
        made: dict[str, Any] = {}
        made["seed"], reasons = seeds.of_rows(rows, run_seed, id_column, seed_column)
        for name, template in templates.items():
            choice = "" if name == "base_prompt" else name
            what = (template, renamed, rows, run_seed, id_column, numbers, choice)
            made[name], bad = base_prompts(*what)
            reasons = [one or other for one, other in zip(bad, reasons, strict=True)]
        return {**made, FAILED_REASON: reasons}

    return work


@dataclass(frozen=True)
class Template:
    """A prompt template, and what it is made of; `wildcards` is a digest of the files in it."""

    text: str
    parts: Parts
    wildcards: str = ""

    @property
    def varies(self) -> bool:
        """Whether it holds choices."""
        return any(isinstance(part, choices.Choice) for part in self.parts)

    @property
    def columns(self) -> list[str]:
        """The columns that it names anywhere, in order, each once."""
        return list(dict.fromkeys(choices.columns(self.parts)))


def varied(text: str, folder: str | None = None) -> Template:
    """The template `text` with its choices, and the wildcards of `folder`; as `choices` says.

    Raises UserError for a brace that is alone, and for a wildcard whose file is missing, has no
    line, or refers to itself.
    """
    wildcards = choices.Wildcards(folder)
    return Template(text, choices.whole(text, wildcards), wildcards.digest)


def template_columns(text: str) -> list[str]:
    """The columns that `text` names, in order, each once: "{animal} in {place}".

    All that stands between braces is the name, as in {dc:title}: no template reaches attributes
    or formats. `{{` and `}}` are braces themselves. Raises UserError for a brace that is alone.
    """
    return plain(text).columns


def plain(text: str) -> Template:
    """The template `text`, which makes no choices."""
    return Template(text, choices.whole(text, None))


def base_prompts(
    template: Template | str,
    renamed: Mapping[str, str],
    table: pa.Table,
    run_seed: int = 0,
    id_column: str | None = None,
    numbers: int = 0,
    choice: str = "",
) -> tuple[list[str | None], list[str | None]]:
    """`template` filled for each row of `table`, and for each row null or why it cannot be.

    `renamed` maps the names in the template to those of `table`, where the two differ. A row
    fails where a cell that it needs is null, blank, or holds control characters or U+FFFD. Cells
    go in as they stand, numbers and dates as `cell_texts` has them. The run's seed and the id
    alone make a row's choices, and `choice` sets those of one text apart from another's; without
    its `numbers` an id goes in.
    """
    template = plain(template) if isinstance(template, str) else template
    names = template.columns
    there = {name: renamed.get(name, name) for name in names}
    behind = {id_column: numbers}
    cells = {
        name: without_numbers(cell_texts(table[here]), behind.get(here, 0)).to_pylist()
        for name, here in there.items()
    }
    ids = [""] * table.num_rows if id_column is None else table[id_column].to_pylist()
    prompts: list[str | None] = []
    reasons: list[str | None] = []
    for row, id in enumerate(ids):
        shares = map(partial(seeds.share, run_seed, f"{id}{choice}"), count())
        texts: list[Any] = []
        needed: dict[str, str | None] = {}
        for part in choices.chosen(template.parts, partial(next, shares)):
            texts.append(part if isinstance(part, str) else cells[part.name][row])
            if not isinstance(part, str):
                needed[part.name] = texts[-1]
        reason = next(filter(None, (_problem(n, value) for n, value in needed.items())), None)
        filled = None if reason else "".join(texts)
        if filled is not None and not filled.strip():
            filled, reason = None, "the prompt is empty"
        prompts.append(filled)
        reasons.append(reason)
    return prompts, reasons


def _problem(name: str, value: str | None) -> str | None:
    if value is None or not value.strip():
        return f"column {name!r} is empty"
    if LOST in value:
        return f"column {name!r} holds U+FFFD, which stands for text that was lost"
    if _CONTROL.search(value):
        return f"column {name!r} holds control characters"
    return None
