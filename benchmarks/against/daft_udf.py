"""The job of the bare loop as a Daft class UDF, in one process a core.

    python benchmarks/against/daft_udf.py FOLDER --model DIR [--processes 2] [--batch 8] [--steps 6]

Reads FOLDER/animals.csv and outfits.csv, joins them by id, draws with diffusers, a generator a row,
writes FOLDER/images/<id>.png in the UDF and FOLDER/table with `write_parquet`. Runs in the
environment that `benchmarks/daft.py` makes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    (args.folder / "images").mkdir()
    # Read by torch in the UDF's processes, which inherit it.
    os.environ["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)) // args.processes)
    import daft

    @daft.cls(max_concurrency=args.processes, use_process=True)
    class ImageGenerator:
        def __init__(self, folder: str, model: str, steps: int) -> None:
            import torch
            from diffusers import DiffusionPipeline

            self.pipe = DiffusionPipeline.from_pretrained(model, dtype=torch.float32)
            self.pipe.set_progress_bar_config(disable=True)
            for part in (self.pipe.unet, self.pipe.vae):  # as imagepipe draws this model
                part.to(memory_format=torch.channels_last)
            self.folder, self.steps = Path(folder), steps

        @daft.method.batch(return_dtype=daft.DataType.string(), batch_size=args.batch)
        def paint(self, ids: daft.Series, prompts: daft.Series) -> list[str]:
            import numpy as np
            import torch
            from PIL import Image

            names = ids.to_pylist()
            images = self.pipe(
                prompt=prompts.to_pylist(),
                generator=[torch.Generator().manual_seed(int(name)) for name in names],
                num_inference_steps=self.steps,
                guidance_scale=2.0,
                width=128,
                height=128,
                output_type="np",
            ).images
            paths = [f"images/{name}.png" for name in names]
            for path, image in zip(paths, (images * 255).round().astype(np.uint8), strict=True):
                Image.fromarray(image).save(self.folder / path, compress_type=3)
            return paths

    painter = ImageGenerator(str(args.folder), args.model, args.steps)
    animals = daft.read_csv(str(args.folder / "animals.csv"))
    outfits = daft.read_csv(str(args.folder / "outfits.csv"))
    rows = animals.join(outfits, on="id").into_batches(args.batch)
    prompt = rows["animal"] + daft.lit(" wearing a ") + rows["outfit"]
    rows = rows.with_column("prompt", prompt)
    rows = rows.with_column("image_path", painter.paint(rows["id"], rows["prompt"]))
    rows.write_parquet(str(args.folder / "table"))


if __name__ == "__main__":
    main()
