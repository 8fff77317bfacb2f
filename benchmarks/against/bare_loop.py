"""The embedded model alone, in the shortest loop that does the same work as imagepipe.

    python benchmarks/against/bare_loop.py FOLDER [--processes 1] [--batch 8] [--steps 6]

Reads FOLDER/animals.csv and outfits.csv, draws a picture a row with diffusers, a generator a row,
and writes FOLDER/images/<id>.png and FOLDER/table/<process>.parquet. Several processes take batches
from one counter and share out the cores' threads.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    (args.folder / "images").mkdir()
    (args.folder / "table").mkdir()
    context = multiprocessing.get_context("spawn")
    taken = context.Value("q", 0)
    if args.processes == 1:
        draw(args, 0, taken)
        return
    os.environ["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)) // args.processes)
    workers = [context.Process(target=draw, args=(args, i, taken)) for i in range(args.processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a process failed")


def draw(args: argparse.Namespace, number: int, taken) -> None:
    """One process: batches until there are no more."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from diffusers import DiffusionPipeline
    from PIL import Image

    pipe = DiffusionPipeline.from_pretrained(args.model, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    for part in (pipe.unet, pipe.vae):  # as imagepipe draws this model
        part.to(memory_format=torch.channels_last)
    rows = joined(args.folder)
    table = []
    while True:
        with taken.get_lock():
            start, taken.value = taken.value, taken.value + args.batch
        batch = rows[start : start + args.batch]
        if not batch:
            break
        images = pipe(
            prompt=[row["prompt"] for row in batch],
            generator=[torch.Generator().manual_seed(row["id"]) for row in batch],
            num_inference_steps=args.steps,
            guidance_scale=2.0,
            width=128,
            height=128,
            output_type="np",
        ).images
        for row, image in zip(batch, (images * 255).round().astype(np.uint8), strict=True):
            path = f"images/{row['id']}.png"
            Image.fromarray(image).save(args.folder / path, compress_type=3)
            table.append({**row, "image_path": path})
    pq.write_table(pa.Table.from_pylist(table), args.folder / "table" / f"{number}.parquet")


def joined(folder: Path) -> list[dict]:
    """The rows of the two tables, by their ids, with a prompt each."""
    with open(folder / "outfits.csv") as file:
        outfits = {row["id"]: row["outfit"] for row in csv.DictReader(file)}
    with open(folder / "animals.csv") as file:
        animals = list(csv.DictReader(file))
    return [
        {"id": int(row["id"]), "prompt": f"{row['animal']} wearing a {outfits[row['id']]}"}
        for row in animals
    ]


if __name__ == "__main__":
    main()
