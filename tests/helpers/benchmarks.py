"""The benchmarks as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from helpers import ROOT

BENCHMARKS = ROOT / "benchmarks"
# Of the others nothing runs that these do not run too.
PARTS = {
    "bare": "bare, 1 process",
    "rows": "imagepipe, 100 rows;plain Ray Data, 100 rows",
    "encode": "Pillow, run lengths (imagepipe's), 128x128;the sink, files, 128x128",
}


def benchmark(name: str, *options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *map(str, options)],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        check=False,
    )


def leaves_figures(name: str, folder: Path) -> None:
    """It runs at a tiny size, and what it measured is in its file."""
    out = folder / "result.json"
    done = benchmark(name, "--tiny", "--repeats", 1, "--out", out, "--variants", PARTS[name])
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())
    assert set(result["variants"]) == set(PARTS[name].split(";"))
    figures = [f for figures in result["variants"].values() for f in figures.values()]
    assert figures and all(0 < f["min"] <= f["median"] <= f["max"] for f in figures)
    assert result["machine"]["cores"] >= 1
    assert result["versions"]["torch"]
