"""Tables with rows that are made to break things, the same ones each time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

TRICKS = (
    # CSV and spreadsheets
    *("=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", '"', '""', "a\r\nb", 'a,b";c\td', "\ufeffa", "-1+1"),
    # HTML, Markdown, templates
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)"),
    *("[a](javascript:alert(1))", "]]></style><!--", "{{7*7}}", "{what}", "%s%n", "${oc.env:HOME}"),
    # paths
    *("../../etc/passwd", "..\\..\\windows", "/etc/passwd", "C:\\a", "~root", "file:///etc/passwd"),
    *("CON", "a/b/c", "." * 300, ".", "..", "images/../../x.png", "-rf", "*?", "\x00"),
    # SQL, shells, emptiness
    *("'; DROP TABLE runs;--", "$(id)", "`id`", "", " ", "\u200b", "\u00a0", "nan", "None"),
)
LONG = ("a" * 100_000, "cat " * 25_000, "猫" * 33_000, "<b>" * 33_000, "\u202e" + "é" * 50_000)
SURROGATES = st.text(st.characters(categories=["Cs", "Ll"]), min_size=1, max_size=20)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(st.characters(categories=["Cc", "Cf", "Co", "Cn"]), min_size=1, max_size=50),
    SURROGATES,
    st.sampled_from(TRICKS),
    st.sampled_from(LONG),
)
NUMBERS = st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53))
OTHERS = st.one_of(
    NUMBERS,
    st.booleans(),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(-5, 5), max_size=3),
)
ROWS = st.fixed_dictionaries(
    {"id": TEXTS, "what": TEXTS, "size": NUMBERS},
)
WRONG = st.fixed_dictionaries(
    {"id": TEXTS, "what": st.one_of(TEXTS, OTHERS), "size": st.one_of(NUMBERS, OTHERS, TEXTS)}
)
Row = dict[str, Any]


def drawn(rows: st.SearchStrategy[Row], number: int) -> list[Row]:
    """`number` examples of `rows`, the same each time."""
    found: list[Row] = []

    @seed(20)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(rows)
    def collect(row: Row) -> None:
        found.append(row)

    collect()
    return [found[place % len(found)] for place in range(number)]


def rows(poisoned: int, good: int, strategy: st.SearchStrategy[Row]) -> list[Row]:
    """First the poisoned rows, whose ids are missing or unique by their ends; then good ones."""
    bad = [
        row | {"id": None if n % 20 < 2 else f"{row['id']}-{n}"}
        for n, row in enumerate(drawn(strategy, poisoned))
    ]
    return [*bad, *({"id": f"good-{n}", "what": f"a cat {n}", "size": n} for n in range(good))]


def _jsonl(path: Path, table: Iterable[Row]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in table))


def _parquet(path: Path, table: Iterable[Row]) -> None:
    """Text as it stands in memory: a reader has to see by itself that it is no UTF-8."""

    def text(name: str) -> pa.Array:
        cells = [row[name] for row in table]
        raw = [cell and cell.encode("utf-8", "surrogatepass") for cell in cells]
        return pa.array(raw, pa.binary()).view(pa.string())

    sizes = pa.array([None if row["size"] is None else float(row["size"]) for row in table])
    pq.write_table(pa.table({"id": text("id"), "what": text("what"), "size": sizes}), path)


def _csv(path: Path, table: Iterable[Row]) -> None:
    """Without NUL, which makes readers of large files lose their place: such a table is refused."""
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.DictWriter(file, ["id", "what", "size"])
        writer.writeheader()
        writer.writerows(
            {key: "" if cell is None else str(cell).replace("\0", "") for key, cell in row.items()}
            for row in table
        )


FORMATS: dict[str, tuple[Callable[[Path, Iterable[Row]], None], st.SearchStrategy[Row]]] = {
    "jsonl": (_jsonl, WRONG),
    "parquet": (_parquet, ROWS),
    "csv": (_csv, ROWS),
}


def write(folder: Path, kind: str, poisoned: int, good: int) -> list[str]:
    """A table of `kind` in `folder`, and the overrides that name it."""
    put, strategy = FORMATS[kind]
    path = folder / f"poison.{kind}"
    put(path, rows(poisoned, good, strategy))
    prompt = 'dataset.prompt="{what} of size {size}"'
    return [f"dataset={kind}", f"dataset.path={path}", "dataset.id=id", prompt]
