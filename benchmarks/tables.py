"""Put the results' tables into docs/performance.md.

    python benchmarks/tables.py [--check]

Between `<!-- bench: NAME -->` and `<!-- end -->` stand the figures of `results/NAME.json`: medians,
and in brackets least and most. With --check nothing is written, and the exit code says whether the
document agrees with the results.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from common import RESULTS, shown

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
PLACE = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEADS = {
    "seconds": "seconds",
    "first_picture_s": "first picture, s",
    "end_to_end_per_s": "pictures/s, end to end",
    "steady_per_s": "pictures/s, steady",
    "rows_per_s": "rows/s",
    "driver_gib": "driver, GiB",
    "whole_gib": "whole, GiB",
    "ms": "ms a picture",
    "kb": "kB a picture",
    "pictures_per_s": "pictures/s",
    "peak_gib": "GPU memory, GiB",
    "of_matmul": "of the matrix rate",
    "ray_datas_actors": "Ray Data's actors",
    "tasks": "reading and writing",
    "ray": "Ray's services",
    "llm_gib": "LLM's process, GiB",
    "model_gib": "model's process, GiB",
    "llm_share_gib": "LLM's share, GiB",
    "model_ms": "model, ms a picture",
    "concluded_ms": "concluding, ms a picture",
    "open_ms": "all rows listed, ms",
    "painted_ms": "first pictures, ms",
    "search_ms": "search, ms",
    "filter_ms": "filter, ms",
    "order_ms": "order, ms",
    "made_s": "made in, s",
    "beside_mb": "beside it, MB",
    "model_share_gib": "model's share, GiB",
    "llm_rows": "answers of the LLM",
    "store_share": "of the object store",
    "spilled_gib": "spilled, GiB",
    "ratio": "rate, times the other's",
    "ratio_low": "at least",
    "ratio_high": "at most",
    "winners": "winners named",
    "told": "told apart",
    "cpus_of_others": "CPUs of other programs",
    "load": "load before",
    **{f"job_{number}_s": f"job {number}, s" for number in range(4)},
}
LEFT_OUT = ("digest",)  # stands for pixels that are compared, and measures nothing


def main() -> None:
    before = DOCUMENT.read_text("utf-8")
    after = filled(before)
    if "--check" in sys.argv[1:]:
        sys.exit(before != after)
    DOCUMENT.write_text(after, "utf-8")


def filled(document: str) -> str:
    """`document` with every place's table made anew."""

    def place(found: re.Match[str]) -> str:
        result = json.loads((RESULTS / f"{found[2]}.json").read_text("utf-8"))
        return f"{found[1]}\n{section(result)}\n\n{found[3]}"

    return PLACE.sub(place, document)


def section(result: Mapping[str, Any]) -> str:
    """A line on the machine, the table of figures, and what became of the limits."""
    figures = result["variants"].values()
    keys = [key for key in dict.fromkeys(chain(*figures)) if key not in LEFT_OUT]
    head = ["", *(HEADS.get(key, key) for key in keys)]
    rows = [
        [name, *(_cell(figures.get(key)) for key in keys)]
        for name, figures in result["variants"].items()
    ]
    parts = [f"`{result['command']}`, on {_machine(result)}.", _table(head, rows)]
    if result["limits"]:
        kept = [_limit(limit) for limit in result["limits"]]
        parts.append(_table(["limit", "wanted", "measured", ""], kept))
    return "\n\n".join(parts)


def _machine(result: Mapping[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    names = ", ".join(f"{name} {versions[name]}" for name in ("ray", "torch", "diffusers"))
    cores = f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB{gpu}"
    return f"{cores}, with {names}"


def _cell(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    median, least, most = (shown(figure[key]) for key in ("median", "min", "max"))
    return median if least == most else f"{median} ({least} to {most})"


def _limit(limit: Mapping[str, Any]) -> list[str]:
    if limit["kept"] is None:
        return [limit["name"], limit["wanted"], "", "not measured"]
    kept = "kept" if limit["kept"] else "**not kept**"
    return [limit["name"], limit["wanted"], _cell(limit), kept]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
