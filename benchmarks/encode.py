"""What encoding costs: PNG settings and encoders, and what the sink takes a core.

    python benchmarks/encode.py [--pictures 16] [--repeats 7]

The pictures are photographs' kin: drawn by the embedded model at 128x128, enlarged to 512x512 with
grain added, because an enlarged picture without grain is smoother than any model's. Everything runs
in one thread. `ms` is a picture's time, `kb` its size; the sink's figures include PNG's text
chunks, the files and the Parquet part. Encoders that are not installed are left out.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import Benchmark, Figures, arguments, run
from omegaconf import OmegaConf
from PIL import Image

from imagepipe.config import Model, Sink
from imagepipe.diffusion.diffusers import DiffusersGenerator
from imagepipe.sink.lock import acquire
from imagepipe.sink.writer import Writer
from imagepipe.store import Store

ROOT = Path(__file__).parents[1]
Encode = Callable[[np.ndarray], bytes]


def pillow(image: np.ndarray, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", **options)
    return buffer.getvalue()


def opencv(image: np.ndarray, level: int, strategy: int) -> bytes:
    import cv2

    options = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_STRATEGY, strategy]
    return cv2.imencode(".png", image[:, :, ::-1], options)[1].tobytes()


def fpng(image: np.ndarray) -> bytes:
    import fpng_py

    height, width, _ = image.shape
    return fpng_py.fpng_encode_image_to_memory(image.tobytes(), width, height, 3)


ENCODERS: dict[str, Encode] = {
    "Pillow, level 6 (default)": pillow,
    "Pillow, level 1": partial(pillow, compress_level=1),
    "Pillow, run lengths (imagepipe's)": partial(pillow, compress_type=3),
    "Pillow, Huffman only": partial(pillow, compress_type=2),
    "Pillow, stored": partial(pillow, compress_level=0),
    **(
        {"OpenCV, level 1, run lengths": partial(opencv, level=1, strategy=3)}
        if find_spec("cv2")
        else {}
    ),
    **({"fpng": fpng} if find_spec("fpng_py") else {}),
}
SINKS = {"files": Sink("files"), "parquet": Sink("parquet", png=False, image_bytes=True)}


def main() -> None:
    parser = arguments(__doc__, repeats=7)
    parser.add_argument("--pictures", type=int, default=16)
    args = parser.parse_args()
    count, sizes = (2, [128]) if args.tiny else (args.pictures, [128, 512])
    pictures = {size: enlarged(drawn(count), size) for size in sizes}
    variants = {}
    for size, images in pictures.items():
        for name, encode in ENCODERS.items():
            variants[f"{name}, {size}x{size}"] = partial(encoded, encode, images)
        for name, sink in SINKS.items():
            variants[f"the sink, {name}, {size}x{size}"] = partial(written, sink, images)
    benchmark = Benchmark(
        name="encode",
        question="What does encoding cost, and how much can the sink take a core?",
        variants=variants,
        settings={"pictures": count},
    )
    run(benchmark, args)


def drawn(count: int) -> np.ndarray:
    """uint8 (count, 128, 128, 3), of the embedded model."""
    model = Model(**OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "model" / "tiny.yaml")))
    painter = DiffusersGenerator(model)
    painter.load()
    animals, colours = ["cat", "dog", "fox", "bear"], ["red", "blue", "green", "yellow"]
    prompts = [f"A pencil sketch of a {a} wearing a {c} scarf" for a in animals for c in colours]
    return painter.paint([prompts[i % 16] for i in range(count)], list(range(count)))


def enlarged(images: np.ndarray, size: int) -> np.ndarray:
    if size == images.shape[1]:
        return images
    grain = np.random.default_rng(0)
    large = [Image.fromarray(i).resize((size, size), Image.Resampling.LANCZOS) for i in images]
    noisy = np.stack(large) + grain.normal(0, 2, (len(images), size, size, 3))
    return noisy.clip(0, 255).round().astype(np.uint8)


def encoded(encode: Encode, images: np.ndarray, folder: Path) -> Figures:
    start = time.perf_counter()
    made = [encode(image) for image in images]
    seconds = time.perf_counter() - start
    return {
        "ms": 1000 * seconds / len(images),
        "kb": sum(map(len, made)) / len(made) / 1000,
    }


def written(sink: Sink, images: np.ndarray, folder: Path) -> Figures:
    """One batch through imagepipe's writer."""
    table, store = rows(images), Store(str(folder))
    facts = {"model": "tiny", "steps": "6"}
    with acquire(folder, store, "r") as mine:
        writer = Writer(store, sink, 0, "id", {"id": "id"}, facts, mine)
        start = time.perf_counter()
        writer(table)
        seconds = time.perf_counter() - start
    return {"ms": 1000 * seconds / len(images), "pictures_per_s": len(images) / seconds}


def rows(images: np.ndarray) -> pa.Table:
    """A batch as it comes to the sink."""
    count = len(images)
    text = pa.array(["A pencil sketch of a cat wearing a red scarf"] * count)
    nothing = pa.nulls(count, pa.string())
    numbers = pa.nulls(count, pa.int32())
    whole = np.ascontiguousarray(images).reshape(count, 1, *images.shape[1:])
    picture = pa.FixedShapeTensorArray.from_numpy_ndarray(whole)
    return pa.table(
        {
            "id": pa.array(range(count)),
            "base_prompt": text,
            "prompt": text,
            "seed": pa.array(range(count)),
            "image": picture,
            "drawn_at": pa.array([0.0] * count),
            "prompt_cut": pa.array([False] * count),
            "unknown_words": nothing,
            "llm_fallback": nothing,
            "llm_answer": nothing,
            "llm_tokens_in": numbers,
            "llm_tokens_out": numbers,
            "failed_stage": nothing,
            "failed_reason": nothing,
        }
    )


if __name__ == "__main__":
    main()
