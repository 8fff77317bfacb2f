"""Large models on an NVIDIA GPU: what the chip gives, and what of it imagepipe keeps.

    python benchmarks/gpu.py [--models turbo,sdxl,flux] [--seconds 10] [--repeats 3]

Random weights: speed and memory do not depend on their values, and nothing is fetched. `turbo` is
SDXL-Turbo at 512x512 in 1 step; `sdxl` is SDXL 1.0 at 1024x1024 as MLPerf's text-to-image benchmark
defines it (20 steps, Euler, guidance 8 with a negative prompt); `flux` is FLUX.1-schnell at
1024x1024 in 4 steps. Each option is tried alone at each batch size; then imagepipe draws with the
option and the batch size that were best. `of_matmul` is the share of the chip's bf16 rate in a
large matrix product, measured here. MLPerf v5.0 Offline drew 18.989 pictures per second on 8 H200,
with numbers of 8 bits: 2.37 on each.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from common import Benchmark, Figures, Limit, Repeat, arguments, run
from omegaconf import OmegaConf
from pictures import imagepipe

from imagepipe.config import Model, Quantization
from imagepipe.diffusion.diffusers import DiffusersGenerator
from imagepipe.errors import UserError

ROOT = Path(__file__).parents[1]
RANDOM = {"weights": "random", "dtype": "bfloat16"}
MLPERF = {
    "steps": 20,
    "guidance": 8.0,
    "scheduler": "EulerDiscreteScheduler",
    "negative_prompt": "normal quality, low quality, worst quality, low res, blurry",
}
MODELS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {  # preset, changes, batches
    "turbo": ("sdxl_turbo", RANDOM, (1, 4, 16, 64)),
    "sdxl": ("sdxl", RANDOM | MLPERF, (1, 4, 8, 16)),
    "flux": ("flux_schnell", RANDOM, (1, 4)),
}
TINY = {"tiny": ("tiny", {"steps": 1, "dtype": "float32"}, (1, 2))}
WHOLE = {"compile": "inductor", "compile_whole": True}
TINY_VAE, EIGHT_BITS, STEP_CACHE = "tiny VAE", "compiled whole in 8 bits", "step cache"
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels last": {"channels_last": True},
    "compiled": {"compile": "inductor"},
    "compiled whole": WHOLE,
    "cudnn attention": {"attention_backend": "_native_cudnn"},
    "flash attention": {"attention_backend": "_native_flash"},
    TINY_VAE: {},  # see `painter`
    EIGHT_BITS: WHOLE,  # see `in_8_bits`
    # Of transformers alone: of four steps the second and the fourth are worked out from others.
    STEP_CACHE: {
        "cache": "TaylorSeerCacheConfig",
        "cache_config": {"cache_interval": 2, "disable_cache_before_step": 1},
    },
}
# Than the model's own: no loop for imagepipe to keep.
OTHER_PICTURES = (TINY_VAE, EIGHT_BITS, STEP_CACHE)
KIND_OF_8_BITS = "Float8DynamicActivationFloat8WeightConfig"  # torchao's
MLPERF_PER_H200 = 18.989 / 8


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--models", default="turbo,sdxl,flux")
    parser.add_argument("--seconds", type=float, default=10.0, help="of drawing for a figure")
    args = parser.parse_args()
    if not torch.cuda.is_available() and not args.tiny:
        sys.exit("benchmarks/gpu.py needs an NVIDIA GPU")
    chosen, options = {name: MODELS[name] for name in args.models.split(",")}, OPTIONS
    if args.tiny:
        chosen, options, args.seconds = TINY, {"plain": {}}, 0.1
    variants: dict[str, Callable[[Path], Figures]] = {}
    limits: list[Limit] = []
    for name, (preset, changes, batches) in chosen.items():
        loops: dict[str, tuple[dict[str, Any], int]] = {}  # what imagepipe may draw with
        for option, more in options.items():
            for size in batches:
                variant = f"{name}, {option}, batch {size}"
                how = partial(bare, preset, changes, option, size, args.seconds)
                variants[variant] = partial(remembered, variant, how)
                if option not in OTHER_PICTURES:
                    loops[variant] = (changes | more, size)
        variants[f"{name}, imagepipe"] = partial(whole, preset, loops, 4 * args.seconds)
        limits.append(Limit(f"{name}: steady, times the best loop", partial(kept, name), 0.97))
    if "sdxl" in chosen:
        limits.append(Limit("sdxl: pictures per second of one GPU", best_sdxl, MLPERF_PER_H200))
    run(Benchmark("gpu", "What do large models reach?", variants, limits), args)


RATES: dict[str, float] = {}  # of the loops, the last time each was measured


def remembered(variant: str, measure: Callable[[Path], Figures], folder: Path) -> Figures:
    """What `measure` finds, its rate kept for imagepipe's turn."""
    figures = measure(folder)
    RATES[variant] = figures.get("pictures_per_s", 0.0)
    return figures


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
    except (torch.OutOfMemoryError, RuntimeError, ValueError, UserError) as error:
        print(f"gpu: {preset}, {option}, batch {size}: {type(error).__name__}: {error}")
        return {}
    rate = rounds * size / (time.perf_counter() - start)
    figures = {"pictures_per_s": rate, "peak_gib": peak_gib()}
    if option not in OTHER_PICTURES:  # which are less work, or work of another kind
        work = operations(preset, tuple(changes.items())) * rate
        figures["of_matmul"] = work / matmul_rate()
    return figures


def settings(preset: str, changes: tuple[tuple[str, Any], ...]) -> Model:
    values = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "model" / f"{preset}.yaml"))
    return replace(Model(**values), **dict(changes))


class _Last:
    """One model at a time is kept in memory."""

    key: Any = None
    painter: DiffusersGenerator


def painter(preset: str, changes: tuple[tuple[str, Any], ...], option: str) -> DiffusersGenerator:
    key = (preset, changes, option)
    if _Last.key != key:
        forget()
        model = settings(preset, (*changes, *OPTIONS[option].items()))
        _Last.painter = in_8_bits(model) if option == EIGHT_BITS else loaded(model)
        if option == TINY_VAE:
            from diffusers import AutoencoderTiny

            _Last.painter.pipe.vae = AutoencoderTiny().to("cuda", torch.bfloat16)
        _Last.key = key
    return _Last.painter


def loaded(model: Model) -> DiffusersGenerator:
    drawer = DiffusersGenerator(model)
    drawer.load()
    return drawer


def in_8_bits(model: Model) -> DiffusersGenerator:
    """The denoiser; by way of a folder, since diffusers makes weights smaller as it reads them."""
    with tempfile.TemporaryDirectory() as folder:
        loaded(replace(model, compile=None)).pipe.save_pretrained(folder)
        part = "unet" if Path(folder, "unet").is_dir() else "transformer"
        smaller = Quantization("torchao", {"quant_type": KIND_OF_8_BITS}, [part])
        saved = {"weights": "trained", "path": folder, "variant": None}
        return loaded(replace(model, quantization=smaller, **saved))


def forget() -> None:
    """Free the model before the next one, or another process, needs the memory."""
    _Last.key, _Last.painter = None, None
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@cache
def operations(preset: str, changes: tuple[tuple[str, Any], ...]) -> float:
    """Floating-point operations of one picture, counted by torch on the plain model."""
    from torch.utils.flop_counter import FlopCounterMode

    drawer = painter(preset, changes, "plain")
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


def whole(
    preset: str, loops: Mapping[str, tuple[dict[str, Any], int]], seconds: float, folder: Path
) -> Figures:
    """imagepipe, in processes of its own, as the fastest loop of those measured before."""
    forget()
    best = max(loops, key=lambda variant: RATES.get(variant, 0.0))
    changes, size = loops[best]
    rows = size * max(4, round(seconds * RATES.get(best, 0.0) / size))
    overrides = {
        f"model.{key}": f"'{value}'" if "," in str(value) else value
        for key, value in changes.items()
    }
    without = {"llm": "none", "scorer": "none", "tracking": "none", "model": preset}
    figures = imagepipe(folder, rows, without | overrides | {"resources.model.batch_size": size})
    return figures | batches(folder / "out" / "table") | {"rows": float(rows), "batch": float(size)}


def batches(table: Path) -> Figures:
    """The steady rate by batches, each of which leaves a part of the table when it is written.

    Few large batches are too coarse for the rate between a tenth and nine tenths of the pictures.
    """
    parts = sorted(table.glob("*.parquet"), key=lambda part: part.stat().st_mtime)
    drawn = sum(pq.read_metadata(part).num_rows for part in parts[1:])
    return {"steady_per_s": drawn / (parts[-1].stat().st_mtime - parts[0].stat().st_mtime)}


def kept(name: str, repeat: Repeat) -> float:
    """imagepipe's steady rate over the best loop's."""
    return repeat[f"{name}, imagepipe"]["steady_per_s"] / max(loops_of(name, repeat))


def best_sdxl(repeat: Repeat) -> float:
    """In 8 bits too, as MLPerf's."""
    return max(loops_of("sdxl", repeat, without=(TINY_VAE,)))


def loops_of(name: str, repeat: Repeat, without: tuple[str, ...] = OTHER_PICTURES) -> list[float]:
    """Pictures per second of the loops, but for these options. Raises KeyError for none."""
    rates = [
        figures["pictures_per_s"]
        for variant, figures in repeat.items()
        if variant.startswith(f"{name}, ")
        and not any(f", {option}, " in variant for option in without)
        and "peak_gib" in figures
    ]
    if not rates:
        raise KeyError(name)
    return rates


if __name__ == "__main__":
    main()
