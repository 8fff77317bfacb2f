"""Read, join, map and write in plain Ray Data: what `benchmarks/rows.py` holds imagepipe against.

    python benchmarks/against/ray_data_rows.py FOLDER [--size 8] [--texts]

Reads FOLDER/animals.csv and outfits.csv, joins them by id, makes for each row a prompt, a seed and
a flat picture of that seed's colour, encodes it as PNG and writes FOLDER/table/*.parquet.
`--texts`: with the texts in each PNG that imagepipe writes, by its own encoder.
"""

from __future__ import annotations

import argparse
import io
import logging
from hashlib import blake2b
from pathlib import Path


def main() -> None:
    import ray

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--texts", action="store_true")
    args = parser.parse_args()
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    animals = ray.data.read_csv(str(args.folder / "animals.csv"))
    outfits = ray.data.read_csv(str(args.folder / "outfits.csv"))
    rows = animals.join(outfits, "inner", num_partitions=8, on=("id",))
    rows = rows.map_batches(with_prompt, batch_format="pyarrow", batch_size=1024)
    rows = rows.map_batches(
        drawn,
        fn_kwargs={"size": args.size, "texts": args.texts},
        batch_format="pyarrow",
        batch_size=1024,
    )
    rows.write_parquet(str(args.folder / "table"))


def with_prompt(rows):
    import pyarrow as pa

    pairs = zip(rows["animal"].to_pylist(), rows["outfit"].to_pylist(), strict=True)
    prompts = [f"{animal} wearing a {outfit}" for animal, outfit in pairs]
    hashes = (blake2b(f"0:0:{i}".encode(), digest_size=8) for i in rows["id"].to_pylist())
    seeds = [int.from_bytes(one.digest(), "big") >> 1 for one in hashes]
    return rows.append_column("prompt", pa.array(prompts)).append_column("seed", pa.array(seeds))


def drawn(rows, size: int, texts: bool):
    import numpy as np
    import pyarrow as pa

    seeds = rows["seed"].to_pylist()
    colours = np.array([[1 + (s >> shift) % 255 for shift in (0, 8, 16)] for s in seeds], np.uint8)
    images = np.broadcast_to(colours[:, None, None, :], (len(seeds), size, size, 3))
    files = with_texts(rows, images) if texts else [png(image) for image in images]
    return rows.append_column("image", pa.array(files, pa.binary()))


def with_texts(rows, images) -> list[bytes]:
    from imagepipe.config import Model
    from imagepipe.sink.encoding import encode
    from imagepipe.sink.metadata import model_metadata, of_picture

    height, width = images.shape[1:3]
    said = model_metadata(Model(name="noop", engine="noop", width=width, height=height))
    of_run = {key: value for key, value in said.items() if value is not None}
    of_run |= {"llm": "none", "config_digest": "0" * 16}
    table = rows.append_column("base_prompt", rows["prompt"]).to_pylist()
    return [
        encode(image, of_picture(row, "id", of_run, image.shape))
        for image, row in zip(images, table, strict=True)
    ]


def png(image) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_type=3)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
