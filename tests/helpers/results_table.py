"""Puts the table of what was broken into docs/reliability.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from helpers import ROOT

DOCS = ROOT / "docs"
RESULTS, PAGE = DOCS / "reliability.jsonl", DOCS / "reliability.md"
HEAD = ("fault", "victim", "times", "rows each", "rows lost or twice", "seconds, median")
MEMORY_HEAD = ("rows", "pictures", "driver, MB", "object store, MB")


def lines(results: Iterable[dict[str, Any]]) -> list[str]:
    """The rows of the table: one for each fault and victim."""

    def what(result: dict[str, Any]) -> tuple[str, str]:
        return result["fault"], result["victim"]

    found = []
    faults = [result for result in results if result["victim"] != "memory"]
    for (fault, victim), group in groupby(sorted(faults, key=what), key=what):
        same = list(group)
        each = sorted({result["rows"] for result in same})
        broken = sum(not result["held"] for result in same)
        seconds = sorted(result["seconds"] for result in same if "seconds" in result)
        middle = f"{seconds[len(seconds) // 2]:.0f}" if seconds else ""
        said = f"in {broken} of {len(same)}" if broken else "none"
        found.append((fault, victim, str(len(same)), " or ".join(map(str, each)), said, middle))
    return _table(HEAD, found)


def memory(results: Iterable[dict[str, Any]]) -> list[str]:
    """The rows of the table on memory: the last measurement of each number of rows."""
    last = {result["rows"]: result for result in results if result["victim"] == "memory"}
    found = [
        (
            f"{rows:,}",
            f"{one['pixels']} x {one['pixels']}",
            f"{one['driver_mb']:.0f}",
            f"{one['store_mb']:.0f}",
        )
        for rows, one in sorted(last.items())
    ]
    return _table(MEMORY_HEAD, found)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def read(path: Path = RESULTS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def page(text: str, results: Iterable[dict[str, Any]]) -> str:
    """`text` with the tables of `results`, each between its two marks."""
    results = list(results)
    for name, table in (("results", lines(results)), ("memory", memory(results))):
        place = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- end of {name} -->)", re.DOTALL)
        text = place.sub("\n".join([*table, ""]).replace("\\", r"\\"), text)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), read()))
