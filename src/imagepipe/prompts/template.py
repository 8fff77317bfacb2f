"""From a row to its base prompt: pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import pyarrow as pa

from imagepipe.errors import UserError
from imagepipe.prompts import seeds
from imagepipe.prompts.cells import cell_texts
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage

# Unicode's category Cc without tab and line ends, which cells of several lines hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
LOST = "\ufffd"
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+")  # a brace, a column, or plain text


def stage(
    template: str,
    renamed: Mapping[str, str],
    run_seed: int,
    id_column: str,
    seed_column: str | None = None,
) -> Stage:
    """The stage that adds `base_prompt`, the filled template, and `seed`, the row's own: what
    stands in `seed_column`, or, where that is null, what the run's seed and the id make.
    """
    reads = [renamed.get(name, name) for name in template_columns(template)]
    reads += [] if seed_column is None else [seed_column]
    adds = pa.schema([("base_prompt", pa.string()), ("seed", pa.int64())])
    recipe = partial(_worker, template, dict(renamed), run_seed, id_column, seed_column)
    return Stage("prompt", reads=(id_column, *reads), adds=adds, recipe=recipe)


def _worker(
    template: str,
    renamed: Mapping[str, str],
    run_seed: int,
    id_column: str,
    seed_column: str | None,
) -> Callable[[pa.Table], Columns]:
    def work(rows: pa.Table) -> Columns:
        prompts, reasons = base_prompts(template, renamed, rows)
        of_rows, bad = seeds.of_rows(rows, run_seed, id_column, seed_column)
        reasons = [one or other for one, other in zip(reasons, bad, strict=True)]
        return {"base_prompt": prompts, "seed": of_rows, FAILED_REASON: reasons}

    return work


def template_columns(template: str) -> list[str]:
    """The columns that `template` names, in order, each once: "{animal} in {place}".

    All that stands between braces is the name, as in {dc:title}: no template reaches attributes
    or formats. `{{` and `}}` are braces themselves. Raises UserError for a brace that is alone.
    """
    return list(dict.fromkeys(name for _, name in _parts(template) if name is not None))


def base_prompts(
    template: str, renamed: Mapping[str, str], table: pa.Table
) -> tuple[list[str | None], list[str | None]]:
    """`template` filled for each row of `table`, and for each row null or why it cannot be.

    `renamed` maps the names in the template to those of `table`, where the two differ. A row
    fails where a cell that it needs is null, blank, or holds control characters or U+FFFD. Cells
    go in as they stand, numbers and dates as `cell_texts` has them.
    """
    parts = _parts(template)
    names = template_columns(template)
    cells = {name: cell_texts(table[renamed.get(name, name)]).to_pylist() for name in names}
    prompts: list[str | None] = []
    reasons: list[str | None] = []
    for row in range(table.num_rows):
        values = {name: cells[name][row] for name in names}
        reason = next(filter(None, (_problem(n, value) for n, value in values.items())), None)
        filled = (text + ("" if name is None else values[name]) for text, name in parts)
        prompts.append(None if reason else "".join(filled))
        reasons.append(reason)
    return prompts, reasons


def _parts(template: str) -> list[tuple[str, str | None]]:
    """Pairs of literal text and the column that follows it (null: none)."""
    if not template:
        raise _refused(template, "is empty")
    parts: list[tuple[str, str | None]] = []
    end = 0
    while end < len(template):
        part = _PART.match(template, end)
        if part is None:
            raise _refused(template, f"has a brace that is alone, at {template[end : end + 20]!r}")
        if part[1] is None:
            parts.append((part[0][:1] if part[0] in ("{{", "}}") else part[0], None))
        elif not part[1].strip():
            raise _refused(template, "has braces that hold no column name")
        else:
            parts.append(("", part[1]))
        end = part.end()
    return parts


def _refused(template: str, problem: str) -> UserError:
    return UserError(
        field="dataset.prompt",
        value=template,
        problem=problem,
        remedy='Write column names in braces, "{animal} wearing a {outfit}"; {{ for a brace.',
    )


def _problem(name: str, value: str | None) -> str | None:
    if value is None or not value.strip():
        return f"column {name!r} is empty"
    if LOST in value:
        return f"column {name!r} holds U+FFFD, which stands for text that was lost"
    if _CONTROL.search(value):
        return f"column {name!r} holds control characters"
    return None
