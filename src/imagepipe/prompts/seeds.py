"""The seeds of rows and of their pictures: pure functions."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import pyarrow as pa

from imagepipe.errors import shown
from imagepipe.prompts.cells import is_blank

MOST = (1 << 63) - 1  # what an int64 column holds


def row_seed(run_seed: int, id: str, k: int = 0) -> int:
    """The seed of the `k`-th picture of row `id`: 63 bits, whatever batch or machine draws it.

    blake2b over "<run_seed>:<k>:<id>", which is different for each of the three, since the
    numbers hold no colon.
    """
    text = f"{run_seed}:{k}:{id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1


def share(run_seed: int, id: str, k: int) -> float:
    """A number from 0 to below 1, which decides the `k`-th choice in the prompt of row `id`.

    As `row_seed`, of which it is independent by the word before the numbers.
    """
    text = f"choice:{run_seed}:{k}:{id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=6).digest(), "big") / (1 << 48)


def of_rows(
    rows: pa.Table, run_seed: int, id_column: str, seed_column: str | None
) -> tuple[list[int], list[str | None]]:
    """Each row's seed, and null or why it has none: what stands in `seed_column`, and `row_seed`
    where that is null. Also texts such as "7" are seeds.
    """
    made = [row_seed(run_seed, str(value)) for value in rows[id_column].to_pylist()]
    if seed_column is None:
        return made, [None] * rows.num_rows
    given = [_given(seed_column, cell) for cell in rows[seed_column].to_pylist()]
    seeds = [old if new is None else new for (new, _), old in zip(given, made, strict=True)]
    return seeds, [why for _, why in given]


def of_pictures(
    rows: pa.Table, run_seed: int, id_column: str, each: int, seed_column: str | None
) -> list[int]:
    """The seeds of `each` pictures a row, row by row, of `rows` with the column `seed`.

    Behind the first of a row whose seed is given those that follow it, as most image tools have
    it; else that of `row_seed`.
    """
    first = rows["seed"].to_pylist()
    if each == 1:
        return first
    ids = map(str, rows[id_column].to_pylist())
    given = [None] * len(first) if seed_column is None else rows[seed_column].to_pylist()
    return [
        row_seed(run_seed, id_, k) if _given("", cell)[0] is None else (seed + k) & MOST
        for id_, seed, cell in zip(ids, first, given, strict=True)
        for k in range(each)
    ]


def _given(column: str, cell: Any) -> tuple[int | None, str | None]:
    """The seed in `cell`, null if it holds none, and why it is no seed."""
    if is_blank(cell):
        return None, None
    try:
        # Not by way of a float, which has 53 bits of the 63.
        number = int(cell) if str(cell).strip().isdecimal() else float(cell)
        if not isinstance(cell, bool) and number == int(number) and 0 <= int(number) <= MOST:
            return int(number), None
    except (TypeError, ValueError, OverflowError):
        pass
    said = f"column {column!r}, for the seed, holds {shown(cell, 40)}"
    return None, f"{said}; a seed is a whole number from 0 to {MOST}"
