"""Two tables joined by keys of one kind or of two, with all, some or none in common.

Which rows meet is told apart from the package's own keys: by the values.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from helpers.configs import composed
from helpers.fuzz import is_plain
from helpers.fuzz_tables import SMALL
from hypothesis import strategies as st

from imagepipe import sources
from imagepipe.config import Config
from imagepipe.errors import UserError
from imagepipe.execution import chain
from imagepipe.sources.blocks import scanned
from imagepipe.sources.joins import in_memory, key_cells, matched
from imagepipe.sources.read import judged
from imagepipe.sources.tables import ORIGINAL, ORIGINAL_TYPE
from imagepipe.stages.stage import FAILED_REASON, LEDGER, apply, worker

JOINED = ["dataset=csv", "dataset.path=x", "dataset.id=id", "dataset.prompt='{wears}'"]
JOINED += ["dataset.join.path=y", "dataset.join.on=k"]
TEXTS = ("7", "007", "7.0", "1.5", " a", "a", "A", "é", "e\u0301", "True", "true", "2024-01-31")
DAYS = (date(2024, 1, 31), date(2024, 2, 1))
MOMENTS = (datetime(2024, 1, 31), datetime(2024, 2, 1, 5))
# Kinds of keys and the cells of each; `None` is added to all. The text is a CSV's, or Parquet's.
KINDS: dict[str, tuple[pa.DataType, tuple[Any, ...]]] = {
    "csv": (pa.string(), TEXTS),
    "text": (pa.string(), TEXTS),
    "int": (pa.int64(), (0, 1, 7)),
    "double": (pa.float64(), (0.0, 1.5, 7.0)),
    "single": (pa.float32(), (1.5, 7.0)),
    "decimal": (pa.decimal128(9, 2), (Decimal("7.00"), Decimal("1.50"))),
    "bool": (pa.bool_(), (True, False)),
    "day": (pa.date32(), DAYS),
    "moment": (pa.timestamp("us"), MOMENTS),
}


@dataclass(frozen=True)
class Pair:
    """The keys of two tables by row, and their kinds."""

    left: tuple[Any, ...]
    right: tuple[Any, ...]
    kinds: tuple[str, str]


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """Half of them of the same kind on both sides."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    kinds = (kind, draw(st.one_of(st.just(kind), st.sampled_from(sorted(KINDS)))))
    cells = [st.sampled_from((*KINDS[one][1], None)) for one in kinds]
    left = draw(st.lists(cells[0], min_size=1, max_size=4))
    right = draw(st.lists(cells[1], min_size=1, max_size=4, unique=True))
    return Pair(tuple(left), tuple(right), kinds)


def check(pair: Pair) -> None:
    """Rows that meet one row draw what it has; the others fail with a reason; or the tables are
    refused, because none meets any or the right one has a key twice.
    """
    wanted = _wanted(pair)
    with tempfile.TemporaryDirectory() as folder:
        left = _written(pair.left, pair.kinds[0], "id", Path(folder, "left"))
        right = _written(pair.right, pair.kinds[1], "wears", Path(folder, "right"))
        try:
            drawn, reasons = _joined(left, right)
        except UserError as error:
            drawn = [None for _ in pair.left]
            reasons = [is_plain(str(error)) for _ in pair.left]
            wanted = drawn if _has_one_twice(pair) else wanted
    assert drawn == wanted, (pair, drawn, reasons)
    assert all(reason for prompt, reason in zip(drawn, reasons, strict=True) if prompt is None)


def _wanted(pair: Pair) -> list[str | None]:
    """What each left row draws; null where no right row has its key, or several have."""
    found: list[str | None] = []
    for key in pair.left:
        met = [row for row, other in enumerate(pair.right) if _meet(key, other, pair.kinds)]
        found.append(f"wears {met[0]}" if len(met) == 1 else None)
    return found


def _has_one_twice(pair: Pair) -> bool:
    """Whether two texts of the right table are one value beside the left one's kind."""
    beside = KINDS[pair.kinds[0]][1][0]
    values = [_value(key, beside) for key in pair.right if key is not None]
    return len({*values}) < len(values)


def _meet(one: Any, other: Any, kinds: tuple[str, str]) -> bool:
    if one is None or other is None:
        return False
    texts = {"csv": True, "text": True}
    return _value(one, other if kinds[1] not in texts else None) == _value(
        other, one if kinds[0] not in texts else None
    )


def _value(key: Any, beside: Any) -> Any:
    """A key as what it is compared as, `beside` one of another kind (null: a text)."""
    if isinstance(key, str):
        return _said(key, beside)
    if isinstance(key, bool):
        return ("bool", key)
    if isinstance(key, int | float | Decimal):
        return Decimal(str(key)).normalize()
    return datetime(key.year, key.month, key.day) if type(key) is date else key


def _said(text: str, beside: Any) -> Any:
    """What a text says, where it stands beside such values."""
    if isinstance(beside, bool):
        return ("bool", text.lower() == "true") if text.lower() in ("true", "false") else text
    if isinstance(beside, int | float | Decimal):
        try:
            return text if text.startswith("00") else Decimal(text).normalize()
        except InvalidOperation:
            return text
    if isinstance(beside, date):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text
    return text


def _written(keys: tuple[Any, ...], kind: str, beside: str, path: Path) -> Path:
    """A table of `keys` and a column `beside` them, which says its row."""
    cells = pa.array([f"{beside} {row}" for row in range(len(keys))])
    table = pa.table({beside: cells, "k": pa.array(keys, KINDS[kind][0])})
    if kind == "csv":
        pc_csv.write_csv(table, path.with_suffix(".csv"))
        return path.with_suffix(".csv")
    pq.write_table(table, path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@cache
def _config() -> Config:
    return composed(*SMALL, *JOINED, "tracking=none")


def _joined(left: Path, right: Path) -> tuple[list[str | None], list[str | None]]:
    """The prompts of the left table's rows, and why others failed: without Ray."""
    data = _config().dataset
    data.path, data.format = str(left), left.suffix[1:]
    data.join.path, data.join.format = str(right), right.suffix[1:]
    found = sources.scan(data, None)
    join = found.joins[0]
    renamed, schema = (
        found.renamed,
        pa.schema([*found.schema(1), (ORIGINAL, ORIGINAL_TYPE), *LEDGER]),
    )
    cells: Callable[[pa.Table], pa.Table] = partial(
        key_cells, join=join, renamed=renamed, id=found.id, numbers=0
    )
    prompt = chain.stages(_config(), found)[0]
    drawn: list[str | None] = []
    reasons: list[str | None] = []
    for file in found.left.files:
        for rows in scanned(found.left, file, found.left.schema.names):
            block = judged(rows, found.left, renamed, found.id)
            block = matched(block, in_memory(join, renamed), join, cells, schema)
            block = apply(prompt, worker(prompt.recipe), block)
            drawn += block["base_prompt"].to_pylist()
            reasons += block[FAILED_REASON].to_pylist()
    return drawn, reasons
