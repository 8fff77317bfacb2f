"""The job in the shape of a notebook's first pipeline, on imagepipe's embedded models.

    python benchmarks/against/seed_shape.py FOLDER --model DIR --llm DIR [--steps 6]

Reads FOLDER/animals.csv and outfits.csv, joins them by id, lets a transformers `pipeline` add a
season to each prompt (batches of 2), draws PIL pictures as rows, repartitions, materializes, and
writes FOLDER/table with `write_parquet` and FOLDER/images with `write_images`. The LLM's process
asks for 0.6 of a CPU and the model's for 0.4, where the notebook asks for parts of a GPU.
"""

from __future__ import annotations

import argparse
import logging
import random
from pathlib import Path

SEASONS = ("spring", "summer", "autumn", "winter")
SYSTEM = (
    "You enrich prompts for pictures. Keep the animal, the clothing, the colour and the medium as "
    "they are and add two short elements of the season. Answer with the new description only."
)


class Enhancer:
    def __init__(self, path: str) -> None:
        from transformers import pipeline

        self.pipe = pipeline("text-generation", model=path, dtype="float32")

    def __call__(self, batch):
        chats = [
            [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"Prompt: {p}\nSeason: {random.choice(SEASONS)}"},
            ]
            for p in batch["base_prompt"]
        ]
        answers = self.pipe(
            chats,
            batch_size=2,
            max_new_tokens=64,
            do_sample=True,
            temperature=0.8,
            return_full_text=False,
        )
        batch["prompt"] = [answer[0]["generated_text"].strip() for answer in answers]
        return batch


class ImageGenerator:
    def __init__(self, path: str, steps: int) -> None:
        import torch
        from diffusers import AutoPipelineForText2Image

        self.pipe = AutoPipelineForText2Image.from_pretrained(path, dtype=torch.float32)
        self.pipe.set_progress_bar_config(disable=True)
        self.steps = steps

    def __call__(self, batch):
        batch["image"] = self.pipe(
            prompt=list(batch["prompt"]),
            num_inference_steps=self.steps,
            guidance_scale=2.0,
            width=128,
            height=128,
        ).images
        return batch


def main() -> None:
    import numpy as np
    import ray

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--llm", required=True)
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    animals = ray.data.read_csv(str(args.folder / "animals.csv"))
    outfits = ray.data.read_csv(str(args.folder / "outfits.csv"))
    rows = animals.join(outfits, "inner", num_partitions=2, on=("id",)).materialize()
    rows = rows.map(lambda r: r | {"base_prompt": f"{r['animal']} wearing a {r['outfit']}"})
    rows = rows.map_batches(
        Enhancer,
        fn_constructor_args=(args.llm,),
        batch_size=2,
        num_cpus=0.6,
        concurrency=1,
    )
    rows = rows.map_batches(
        ImageGenerator,
        fn_constructor_args=(args.model, args.steps),
        batch_size=8,
        num_cpus=0.4,
        concurrency=1,
    )
    rows = rows.repartition(2).materialize()
    rows.drop_columns(["image"]).write_parquet(str(args.folder / "table"))
    # Pillow makes no picture of a picture any more, so that they go as arrays at the very end.
    pictures = rows.map(lambda row: {"image": np.asarray(row["image"])})
    pictures.write_images(str(args.folder / "images"), column="image")


if __name__ == "__main__":
    main()
