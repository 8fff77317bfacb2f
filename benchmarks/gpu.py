"""Large models on an NVIDIA GPU: what the chip gives, and what of it imagepipe keeps.

    python benchmarks/gpu.py [--models turbo,sdxl,flux] [--batches 1,2,4,8,16,32,64] [--repeats 3]

Random weights: speed and memory do not depend on their values, and nothing is fetched. `turbo` is
SDXL-Turbo at 512x512 in 1 step; `sdxl` is SDXL 1.0 at 1024x1024 as MLPerf's text-to-image benchmark
defines it (20 steps, Euler, guidance 8 with a negative prompt); `flux` is FLUX.1-schnell at
1024x1024 in 4 steps. Each option is tried alone, then imagepipe draws with the plain model at the
batch that was best. `of_matmul` is the share of the chip's bf16 rate in a large matrix product,
measured here. MLPerf v5.0 Offline drew 18.989 pictures per second on 8 H200: 2.37 on each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from omegaconf import OmegaConf
from pictures import imagepipe

from imagepipe.config import Model
from imagepipe.diffusion.diffusers import DiffusersPainter

ROOT = Path(__file__).parents[1]
RANDOM = {"weights": "random", "dtype": "bfloat16"}
MLPERF = {
    "steps": 20,
    "guidance": 8.0,
    "scheduler": "EulerDiscreteScheduler",
    "negative_prompt": "normal quality, low quality, worst quality, low res, blurry",
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "turbo": ("sdxl_turbo", RANDOM),
    "sdxl": ("sdxl", RANDOM | MLPERF),
    "flux": ("flux_schnell", RANDOM),
}
TINY = {"tiny": ("tiny", {"steps": 1, "dtype": "float32"})}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels last": {"channels_last": True},
    "compiled": {"compile": "inductor"},
    "cudnn attention": {"attention_backend": "_native_cudnn"},
    "flash attention": {"attention_backend": "_native_flash"},
    "tiny VAE": {},  # see `painter`
}
MLPERF_PER_H200 = 18.989 / 8


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--models", default="turbo,sdxl,flux")
    parser.add_argument("--batches", default="1,2,4,8,16,32,64")
    parser.add_argument("--seconds", type=float, default=20.0, help="of drawing for a figure")
    args = parser.parse_args()
    if not torch.cuda.is_available() and not args.tiny:
        sys.exit("benchmarks/gpu.py needs an NVIDIA GPU")
    if args.tiny:
        chosen, batches, options, args.seconds = TINY, [1, 2], {"plain": {}}, 0.1
    else:
        chosen = {name: MODELS[name] for name in args.models.split(",")}
        batches, options = [int(size) for size in args.batches.split(",")], OPTIONS
    variants: dict[str, Callable[[Path], Figures]] = {}
    limits: list[Limit] = []
    for name, (preset, changes) in chosen.items():
        for size in batches:
            for option, more in options.items():
                how = partial(bare, preset, changes | more, option, size, args.seconds)
                variants[f"{name}, {option}, batch {size}"] = how
        for size in batches:
            how = partial(whole, preset, changes, size, 4 if args.tiny else 24 * size)
            variants[f"{name}, imagepipe, batch {size}"] = how
        limits.append(
            Limit(f"{name}: steady, times the plain loop", partial(kept, name, batches), 0.97)
        )
    if "sdxl" in chosen:
        limits.append(Limit("sdxl: pictures per second of one GPU", best_sdxl, MLPERF_PER_H200))
    settings = {"models": {k: list(v) for k, v in chosen.items()}, "batches": batches}
    run(Benchmark("gpu", "What do large models reach?", variants, limits, settings), args)


def bare(
    preset: str, changes: Mapping[str, Any], option: str, size: int, seconds: float, folder: Path
) -> Figures:
    """The model in a loop. What does not fit, or what this chip lacks, has no figures."""
    try:
        drawer = painter(preset, tuple(changes.items()), option)
        prompts, seeds = ["a cat wearing a red scarf"] * size, list(range(size))
        drawer.paint(prompts, seeds)  # compiles and warms up
        reset_peak()
        start, rounds = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            drawer.paint(prompts, seeds)
            rounds += 1
    except (torch.cuda.OutOfMemoryError, RuntimeError, ValueError) as error:
        print(f"gpu: {preset}, {option}, batch {size}: {type(error).__name__}: {error}")
        return {}
    rate = rounds * size / (time.perf_counter() - start)
    work = operations(preset, tuple(changes.items())) * rate
    return {"pictures_per_s": rate, "of_matmul": work / matmul_rate(), "peak_gib": peak_gib()}


@cache
def settings(preset: str, changes: tuple[tuple[str, Any], ...]) -> Model:
    values = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "model" / f"{preset}.yaml"))
    return replace(Model(**values), **dict(changes))


class _Last:
    """One model at a time is kept in memory."""

    key: Any = None
    painter: DiffusersPainter


def painter(preset: str, changes: tuple[tuple[str, Any], ...], option: str) -> DiffusersPainter:
    key = (preset, changes, option)
    if _Last.key != key:
        _Last.painter, _Last.key = None, key  # frees the one before
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        drawer = DiffusersPainter(settings(preset, changes))
        drawer.load()
        if option == "tiny VAE":
            from diffusers import AutoencoderTiny

            drawer.pipe.vae = AutoencoderTiny().to("cuda", torch.bfloat16)
        _Last.painter = drawer
    return _Last.painter


@cache
def operations(preset: str, changes: tuple[tuple[str, Any], ...]) -> float:
    """Floating-point operations of one picture, counted by torch on the plain model."""
    from torch.utils.flop_counter import FlopCounterMode

    plain = {k: v for k, v in changes if k not in ("compile", "attention_backend")}
    drawer = painter(preset, tuple(plain.items()), "counting")
    with FlopCounterMode(display=False) as counter:
        drawer.paint(["a cat"], [0])
    return float(counter.get_total_flops())


@cache
def matmul_rate() -> float:
    """Operations per second of a large bf16 matrix product."""
    device, size = ("cuda", 8192) if torch.cuda.is_available() else ("cpu", 512)
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    rounds = 50
    for count in (5, rounds):  # the first warms up
        start = time.perf_counter()
        for _ in range(count):
            a @ b
        if device == "cuda":
            torch.cuda.synchronize()
    return 2 * size**3 * rounds / (time.perf_counter() - start)


def reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_gib() -> float:
    return torch.cuda.max_memory_allocated() / (1 << 30) if torch.cuda.is_available() else 0.0


def whole(preset: str, changes: Mapping[str, Any], size: int, rows: int, folder: Path) -> Figures:
    """imagepipe, in processes of its own."""
    _Last.key, _Last.painter = None, None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    overrides = {
        f"model.{key}": f"'{value}'" if "," in str(value) else value
        for key, value in changes.items()
    }
    without = {"llm": "none", "scorer": "none", "model": preset}
    return imagepipe(folder, rows, without | overrides | {"resources.model.batch_size": size})


def kept(name: str, batches: list[int], repeat: Repeat) -> float:
    """imagepipe's steady rate over the plain loop's, at the batch where the loop is fastest."""
    loops = {size: repeat[f"{name}, plain, batch {size}"] for size in batches}
    drew = {size: found for size, found in loops.items() if "pictures_per_s" in found}
    best = max(drew, key=lambda size: drew[size]["pictures_per_s"])
    steady = repeat[f"{name}, imagepipe, batch {best}"]["steady_per_s"]
    return steady / drew[best]["pictures_per_s"]


def best_sdxl(repeat: Repeat) -> float:
    return max(
        f["pictures_per_s"]
        for n, f in repeat.items()
        if n.startswith("sdxl") and "pictures_per_s" in f
    )


if __name__ == "__main__":
    main()
