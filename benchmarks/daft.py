"""Against Daft: the same job as a class UDF, with the same weights.

    python benchmarks/daft.py [--rows 400] [--repeats 3]

Daft gets an environment of its own, `benchmarks/.cache/daft`, made at the first run: its pins and
imagepipe's do not fit one another. torch, diffusers and transformers have the same versions there.
`PIP_FIND_LINKS` or pip's own configuration say where a CPU build of torch is.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bare import WITHOUT
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import against, imagepipe

from imagepipe.assets import folder as asset

DAFT = "0.7.26"
SAME = "torch diffusers transformers numpy pillow pyarrow".split()
CACHE = Path(__file__).parent / ".cache" / "daft"


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=400)
    args = parser.parse_args()
    rows, steps = (16, 1) if args.tiny else (args.rows, 6)
    benchmark = Benchmark(
        name="daft",
        question="How does it compare with Daft?",
        variants={
            "Daft, a process a core": partial(daft, rows, steps),
            "imagepipe": partial(imagepipe, rows=rows, overrides=WITHOUT | {"model.steps": steps}),
        },
        limits=(Limit("end to end, times Daft", ratio, at_least=1.0),),
        settings={"rows": rows, "steps": steps, "batch": 8, "daft": DAFT},
    )
    run(benchmark, args)


def environment() -> str:
    """The Python that has Daft; makes it where it is not there."""
    python = CACHE / "bin" / "python"
    ready = CACHE / f"ready-{DAFT}"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q"]
        same = [f"{name}=={version(name).partition('+')[0]}" for name in SAME]
        subprocess.run([*pip, f"daft=={DAFT}", *same], check=True)
        ready.touch()
    return str(python)


def daft(rows: int, steps: int, folder: Path) -> Figures:
    options = ("--model", asset("asset:tiny"), "--steps", steps)
    return against("daft_udf.py", folder, rows, *options, python=environment())


def ratio(repeat: Repeat) -> float:
    other = repeat["Daft, a process a core"]["end_to_end_per_s"]
    return repeat["imagepipe"]["end_to_end_per_s"] / other


if __name__ == "__main__":
    main()
