"""Measures what a picture of the `tiny` text-to-image model costs, part by part.

    python -m imagepipe.toyworld.speed [--folder FOLDER] [--card]

Prints (and with `--card` writes into the model card) milliseconds at batch 8 for the text encoder,
one UNet step with guidance, and the decoder, and the pictures per second of whole calls.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from imagepipe.toyworld import held_out, tiny_pipeline
from imagepipe.toyworld.card import update_card
from imagepipe.toyworld.training import hardware

_BATCH = 8


def load(folder: Path) -> StableDiffusionPipeline:
    """The pipeline in `folder`, in float32, quiet."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def best_ms(work: Callable[[], object], rounds: int = 7) -> float:
    """The fastest of `rounds` calls, in milliseconds: what the machine's other work slows least."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * min(times[1:])


@torch.no_grad()
def measure(pipeline: StableDiffusionPipeline) -> dict[str, float]:
    """Milliseconds of each part at batch 8, and pictures per second at the default steps."""
    prompts = [case.prompt for case in held_out.cases()[:_BATCH]]
    text, unet, vae = pipeline.text_encoder, pipeline.unet, pipeline.vae
    ids = pipeline.tokenizer(prompts, padding="max_length", return_tensors="pt").input_ids
    states = text(torch.cat([ids, ids])).last_hidden_state
    latents = torch.randn(2 * _BATCH, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = best_ms(lambda: tiny_pipeline.draw(pipeline, prompts), rounds=3)
    return {
        "text encoder, ms": round(best_ms(lambda: text(torch.cat([ids, ids]))), 1),
        "UNet, ms a step": round(best_ms(lambda: unet(latents, 500, states)), 1),
        "decoder, ms": round(best_ms(lambda: vae.decode(latents[:_BATCH])), 1),
        f"pictures per second at {tiny_pipeline.STEPS} steps": round(1000 * _BATCH / whole, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[1] / "assets" / "tiny"
    parser.add_argument("--folder", type=Path, default=default)
    parser.add_argument("--card", action="store_true", help="write the figures into the card")
    args = parser.parse_args()
    place = f"batch {_BATCH}, {hardware()}, {torch.get_num_threads()} thread(s)"
    figures = {f"{name} ({place})": value for name, value in measure(load(args.folder)).items()}
    for name, value in figures.items():
        print(f"{name}: {value}")
    if args.card:
        update_card(args.folder, figures=figures)


if __name__ == "__main__":
    main()
