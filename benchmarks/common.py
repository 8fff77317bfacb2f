"""What the benchmarks share: repeats that alternate, medians and spread, and the JSON they leave.

A benchmark is a set of variants, each a function that does its work in an empty folder and returns
figures, and the limits that its figures are held to. One repeat runs every variant once, and every
second repeat in the opposite order, so that a slow moment of the machine does not always hit the
same one; limits are worked out a repeat at a time, of figures taken one after another.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
VERSIONS = "imagepipe ray torch diffusers transformers pyarrow pillow mlflow numpy".split()

Figures = dict[str, float]
Repeat = Mapping[str, Figures]  # of every variant, by its name


@dataclass(frozen=True)
class Limit:
    """What a benchmark's figures should keep: `of(repeat)` at least, or at most, so much."""

    name: str
    of: Callable[[Repeat], float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def wanted(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"

    def kept(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is None or value <= self.at_most


@dataclass(frozen=True)
class Benchmark:
    """`settings` say what was measured; `note` is a sentence about it for the table's reader."""

    name: str
    question: str
    variants: Mapping[str, Callable[[Path], Figures]]
    limits: Sequence[Limit] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def arguments(doc: str | None, repeats: int) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--out", type=Path, help="the JSON file; default: results/NAME.json")
    parser.add_argument("--more", action="store_true", help="add to the repeats in that file")
    parser.add_argument("--variants", help="only these, separated by semicolons")
    parser.add_argument("--tiny", action="store_true", help="so little that only errors show")
    return parser


def run(benchmark: Benchmark, args: argparse.Namespace) -> dict[str, Any]:
    """Measure, write the JSON after every variant, print the figures; returns what was written."""
    out = args.out or RESULTS / f"{benchmark.name}.json"
    chosen = [name.strip() for name in (args.variants or ";".join(benchmark.variants)).split(";")]
    repeats = _before(benchmark, out) if args.more else []
    for number in range(args.repeats):
        order = chosen if number % 2 == 0 else chosen[::-1]
        repeats.append({})
        for name in order:
            repeats[-1][name] = _measured(benchmark, name)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(_result(benchmark, repeats), indent=2) + "\n")
    result = _result(benchmark, repeats)
    print(text(result))
    return result


def _measured(benchmark: Benchmark, name: str) -> Figures:
    with tempfile.TemporaryDirectory(prefix=f"bench-{benchmark.name}-") as folder:
        figures = benchmark.variants[name](Path(folder))
    said = ", ".join(f"{key} {shown(value)}" for key, value in figures.items())
    print(f"{benchmark.name}: {name}: {said}", flush=True)
    return figures


def _before(benchmark: Benchmark, out: Path) -> list[dict[str, Figures]]:
    if not out.exists():
        return []
    said = json.loads(out.read_text())
    for what, now in (("settings", dict(benchmark.settings)), ("machine", machine())):
        if said[what] != now:
            raise SystemExit(f"{out} has other {what}: {said[what]}, now {now}")
    return said["repeats"]


def _result(benchmark: Benchmark, repeats: list[dict[str, Figures]]) -> dict[str, Any]:
    names = [name for name in benchmark.variants if any(name in repeat for repeat in repeats)]
    return {
        "benchmark": benchmark.name,
        "question": benchmark.question,
        "command": f"python benchmarks/{benchmark.name}.py",
        "settings": dict(benchmark.settings),
        "machine": machine(),
        "versions": versions(),
        "variants": {
            name: _spreads([repeat[name] for repeat in repeats if name in repeat]) for name in names
        },
        "limits": [_held(limit, repeats) for limit in benchmark.limits] if repeats else [],
        "repeats": repeats,
    }


def _spreads(samples: list[Figures]) -> dict[str, dict[str, float]]:
    keys = dict.fromkeys(key for sample in samples for key in sample)
    return {key: spread([sample[key] for sample in samples if key in sample]) for key in keys}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least, most, and of how many."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "n": len(values),
    }


def _held(limit: Limit, repeats: list[dict[str, Figures]]) -> dict[str, Any]:
    """The limit over the repeats that have all its figures; `kept` is null where none has."""
    values = []
    for repeat in repeats:
        try:
            values.append(limit.of(repeat))
        except KeyError:
            continue
    said = {"name": limit.name, "wanted": limit.wanted}
    if not values:
        return {**said, "kept": None}
    found = spread(values)
    return {**said, "kept": limit.kept(found["median"]), **found}


def text(result: Mapping[str, Any]) -> str:
    """The figures and limits of a result as lines."""
    lines = [f"{result['benchmark']}: {result['question']}"]
    for name, figures in result["variants"].items():
        said = ", ".join(
            f"{key} {shown(f['median'])} ({shown(f['min'])} to {shown(f['max'])})"
            for key, f in figures.items()
        )
        lines.append(f"  {name}: {said}")
    for limit in result["limits"]:
        if limit["kept"] is None:
            lines.append(f"  {limit['name']}: no repeat has all that it is worked out of")
            continue
        mark = "kept" if limit["kept"] else "NOT KEPT"
        lines.append(f"  {limit['name']}: {limit['median']:.3g}, {limit['wanted']}: {mark}")
    return "\n".join(lines)


def shown(value: float) -> str:
    """A figure in three digits; large ones whole, with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """The computer, as far as it matters to speed."""
    import psutil

    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Of what is installed here: without tracking, MLflow need not be."""
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _cpu() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1) if found else platform.processor()


def _gpu() -> str | None:
    """Without torch where there can be none."""
    if not Path("/proc/driver/nvidia/gpus").is_dir():
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
