"""Puts the table of what was broken into docs/reliability.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
RESULTS, PAGE = DOCS / "reliability.jsonl", DOCS / "reliability.md"
PLACE = re.compile(r"(?<=<!-- results -->\n).*(?=<!-- end of results -->)", re.DOTALL)
HEAD = ("fault", "victim", "times", "rows each", "rows lost or twice", "seconds, median")


def lines(results: Iterable[dict[str, Any]]) -> list[str]:
    """The rows of the table: one for each fault and victim."""

    def what(result: dict[str, Any]) -> tuple[str, str]:
        return result["fault"], result["victim"]

    found = []
    for (fault, victim), group in groupby(sorted(results, key=what), key=what):
        same = list(group)
        each = sorted({result["rows"] for result in same})
        broken = sum(not result["held"] for result in same)
        seconds = sorted(result["seconds"] for result in same if "seconds" in result)
        middle = f"{seconds[len(seconds) // 2]:.0f}" if seconds else ""
        said = f"in {broken} of {len(same)}" if broken else "none"
        found.append((fault, victim, str(len(same)), " or ".join(map(str, each)), said, middle))
    return [f"| {' | '.join(row)} |" for row in (HEAD, ("---",) * len(HEAD), *found)]


def read(path: Path = RESULTS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def page(text: str, results: Iterable[dict[str, Any]]) -> str:
    """`text` with the table of `results` between its two marks."""
    return PLACE.sub("\n".join([*lines(results), ""]).replace("\\", r"\\"), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), read()))
