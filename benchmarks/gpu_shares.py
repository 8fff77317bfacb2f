"""LLM and model on one GPU: a grid of shares, each process's memory against its share, `tuned`.

    python benchmarks/gpu_shares.py [--rows 640] [--llm tiny] [--repeats 3]

SDXL-Turbo (random weights, float16, 512x512, 1 step) with the embedded LLM: in transformers, with
`--llm tiny_vllm` in vLLM, which needs the package. The memory is what the driver says of each
process, with CUDA's own part of some hundred MiB, which no share holds back.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import torch
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from pictures import imagepipe, watched

GRID = ((0.6, 0.4), (0.4, 0.6), (0.2, 0.8))  # of the LLM and the model
ALL = {
    "model": "sdxl_turbo",
    "model.weights": "random",
    "model.dtype": "float16",
    "scorer": "none",
    "tracking": "none",
}
TUNED = "tuned"


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--llm", default="tiny", help="a choice of the group llm")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu_shares.py needs an NVIDIA GPU")
    variants = {
        f"llm {llm:g}, model {model:g}": partial(shared, args.rows, args.llm, llm, model)
        for llm, model in GRID
    }
    variants[TUNED] = partial(measured, args.rows, {"llm": args.llm, "resources": "tuned"})
    benchmark = Benchmark(
        name="gpu_shares",
        question="What do shares of one GPU cost, and are they kept?",
        variants=variants,
        limits=(Limit("tuned, times the best of the grid", ratio, at_least=0.95),),
        settings={"rows": args.rows, "llm": args.llm, "overrides": ALL},
    )
    run(benchmark, args)


def shared(rows: int, name: str, llm: float, model: float, folder: Path) -> Figures:
    shares = {"llm": name, "resources.llm.num_gpus": llm, "resources.model.num_gpus": model}
    batches = {"resources.llm.batch_size": 32, "resources.model.batch_size": 16}
    whole = torch.cuda.get_device_properties(0).total_memory / (1 << 30)
    figures = measured(rows, {"resources": "gpu_shared", **shares, **batches}, folder)
    return figures | {"llm_share_gib": llm * whole, "model_share_gib": model * whole}


def measured(rows: int, overrides: dict[str, object], folder: Path) -> Figures:
    """A run, and the most GPU memory of its processes."""
    most: dict[str, float] = {}
    with watched(partial(sample, most)):
        figures = imagepipe(folder, rows, ALL | overrides)
    return figures | {f"{stage}_gib": gib for stage, gib in most.items()}


def sample(most: dict[str, float]) -> None:
    """Keep in `most` the largest GPU memory of a stage's process, in GiB."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    said = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        pid, mib = (part.strip() for part in line.split(","))
        stage = next((s for s in ("llm", "model") if f"({s})" in title(int(pid))), None)
        if stage and mib.isdecimal():
            most[stage] = max(most.get(stage, 0.0), int(mib) / 1024)


def title(pid: int) -> str:
    """What a process calls itself; Ray's actors by their stage."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def ratio(repeat: Repeat) -> float:
    grid = [figures["steady_per_s"] for name, figures in repeat.items() if name != TUNED]
    return repeat[TUNED]["steady_per_s"] / max(grid)


if __name__ == "__main__":
    main()
