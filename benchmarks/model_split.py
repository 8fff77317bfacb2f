"""Pictures per second of the embedded model, and where its time goes.

    python benchmarks/model_split.py [--batch 8] [--repeats 7]

The batches run as the pipeline runs them, through the same class. Writes
`benchmarks/results/model_split.json`: seconds a batch for each part, median and spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from imagepipe.config import Model
from imagepipe.diffusion.diffusers import DiffusersGenerator
from toyworld.card import update_card
from toyworld.training import hardware

ROOT = Path(__file__).parents[1]
PROMPT = "A watercolor painting of a cat wearing a red scarf, with falling snowflakes"


def timed(seconds: dict[str, float], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, which adds the time that it takes to `seconds[name]`."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = call(*args, **kwargs)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds[name] += time.perf_counter() - start
        return result

    return wrapped


def measure(painter: DiffusersGenerator, batch: int, repeats: int) -> dict[str, list[float]]:
    """Seconds a batch: all of it, and its parts; one warm-up batch is not counted."""
    seconds: dict[str, float] = defaultdict(float)
    pipe = painter.pipe
    pipe.text_encoder.forward = timed(seconds, "text_encoder", pipe.text_encoder.forward)
    pipe.unet.forward = timed(seconds, "unet", pipe.unet.forward)
    pipe.vae.decode = timed(seconds, "decoder", pipe.vae.decode)
    found: dict[str, list[float]] = defaultdict(list)
    for repeat in range(repeats + 1):
        seconds.clear()
        start = time.perf_counter()
        painter.paint([PROMPT] * batch, list(range(batch)))
        seconds["whole"] = time.perf_counter() - start
        for name, value in seconds.items() if repeat else ():
            found[name].append(value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--card", action="store_true", help="note the figures in the model's card")
    args = parser.parse_args()
    model = Model(**OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "model" / "tiny.yaml")))
    painter = DiffusersGenerator(model)
    painter.load()
    found = measure(painter, args.batch, args.repeats)
    rates = [args.batch / value for value in found["whole"]]
    result = {
        "command": f"python benchmarks/model_split.py --batch {args.batch}",
        "machine": hardware(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "steps": model.steps,
        "batch": args.batch,
        "pictures_per_s": {
            "median": statistics.median(rates),
            "min": min(rates),
            "max": max(rates),
        },
        "seconds_a_batch": {
            name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
            for name, values in found.items()
        },
    }
    text = json.dumps(result, indent=2)
    (ROOT / "benchmarks" / "results" / "model_split.json").write_text(text + "\n")
    print(text)
    if args.card:
        note(result)


def note(result: dict[str, Any]) -> None:
    """Medians into the model card of the embedded model."""
    where = f"batch {result['batch']}, {result['threads']} threads, {result['machine']}"
    seconds = {name: found["median"] for name, found in result["seconds_a_batch"].items()}
    figures = {
        f"pictures per second, {result['steps']} steps, {where}": (
            f"{result['pictures_per_s']['median']:.1f}"
        ),
        **{
            f"share of the time, {part}": f"{100 * seconds[part] / seconds['whole']:.0f} %"
            for part in ("text_encoder", "unet", "decoder")
        },
    }
    update_card(ROOT / "src" / "imagepipe" / "assets" / "tiny", figures=figures)


if __name__ == "__main__":
    main()
