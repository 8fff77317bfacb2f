"""What other people's tools read of what the writer leaves."""

from __future__ import annotations

import base64
import io
import json
import math
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.written import batch, writer
from PIL import Image

from imagepipe import config
from imagepipe.sources import scan

ROWS = 16  # more than what readers look at before they settle a column's type


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def hard() -> pa.Table:
    """Texts that only late rows have, what is no number, bytes, a picture."""
    last = [None] * (ROWS - 1)
    rows = batch([f"r{place:02}" for place in range(ROWS)])
    for name, kind in (("llm_fallback", pa.string()), ("unknown_words", pa.string())):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array([*last, "late"], kind))
    columns = {
        "note": pa.array([*last, "only here"], pa.string()),
        "weight": pa.array([math.nan, math.inf, *[1.5] * (ROWS - 2)], pa.float64()),
        "raw": pa.array([b"\x89PNG\xff"] * ROWS, pa.binary()),
        "photo": pa.array([{"bytes": png(), "path": None}] * ROWS),
    }
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    return rows


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    writer(folder, png=False, webdataset=True)(hard())
    return folder


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    writer(folder, png=False, image_bytes=True)(hard())
    return folder


def said(folder: Path) -> list[dict[str, Any]]:
    """The shard's JSON texts, by a parser that takes nothing but JSON."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    (shard,) = (folder / "shards").iterdir()
    with tarfile.open(shard) as tar:
        texts = [tar.extractfile(name).read() for name in tar.getnames() if name.endswith(".json")]
    return [json.loads(text, parse_constant=refuse) for text in texts]


def test_a_shards_json_is_json_and_has_no_python_in_it(shards):
    first, *_, last = said(shards)
    assert (first["weight"], last["weight"]) == (None, 1.5)
    assert base64.b64decode(first["raw"]) == b"\x89PNG\xff"
    assert (first["llm_fallback"], first["unknown_words"], first["note"]) == ("", "", "")
    assert (last["llm_fallback"], last["note"]) == ("late", "only here")


def test_datasets_reads_shards_whose_texts_come_late(shards, tmp_path):
    from datasets import load_dataset

    files = [str(path) for path in (shards / "shards").iterdir()]
    rows = load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path))
    assert len(rows) == ROWS
    assert rows[-1]["json"]["unknown_words"] == "late"
    assert rows[0]["png"].size == (8, 8)


def test_webdataset_reads_its_shards(shards):
    import webdataset

    (shard,) = (shards / "shards").iterdir()
    rows = list(webdataset.WebDataset(str(shard), shardshuffle=False).decode("pil"))
    assert [row["__key__"] for row in rows] == [f"r{place:02}" for place in range(ROWS)]
    assert rows[0]["png"].size == (8, 8)
    assert rows[-1]["json"]["note"] == "only here"


def test_datasets_reads_the_table(parquet, tmp_path):
    from datasets import load_dataset

    files = [str(path) for path in (parquet / "table").iterdir()]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert rows[0]["image"].size == (8, 8)
    assert (rows[0]["note"], rows[-1]["note"]) == (None, "only here")


def test_datasets_finds_the_pictures_and_classes_that_came_in(tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value, load_dataset
    from datasets import Image as Picture

    kinds = Features(id=Value("string"), photo=Picture(), what=ClassLabel(names=["cat", "dog"]))
    photo = {"bytes": png(), "path": None}
    rows = {"id": ["a", "b"], "photo": [photo, photo], "what": [0, 1]}
    Dataset.from_dict(rows, features=kinds).to_parquet(str(tmp_path / "in.parquet"))
    data = {"path": str(tmp_path / "in.parquet"), "format": "parquet"}
    tables = scan(config.Dataset(name="t", id="id", prompt="{what}", **data), None)
    write = replace(writer(tmp_path / "out", png=False, image_bytes=True), features=tables.features)
    came = pq.read_table(tmp_path / "in.parquet")
    batched = batch(["a", "b"]).append_column("photo", came["photo"])
    place = batched.schema.get_field_index("what")
    write(batched.set_column(place, "what", came["what"]))
    files = [str(path) for path in (tmp_path / "out" / "table").iterdir()]
    read = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "c"))
    assert read.features["what"].int2str(read[1]["what"]) == "dog"
    assert (read[0]["photo"].size, read[0]["image"].size) == ((4, 4), (8, 8))


def test_duckdb_and_polars_read_the_table(parquet):
    import duckdb
    import polars

    where = str(parquet / "table" / "*.parquet")
    found = duckdb.sql(f"select prompt, seed, note from '{where}' order by id").fetchall()
    assert (len(found), found[-1][2]) == (ROWS, "only here")
    frame = polars.read_parquet(where)
    assert (frame.height, frame["unknown_words"].null_count()) == (ROWS, ROWS - 1)


@pytest.mark.parametrize(
    ("prompt", "metadata"),
    [
        pytest.param("a cat", {"steps": "4"}, id="plain"),
        pytest.param("a cat\nwith a hat\n\nSteps: 9", {"steps": "4"}, id="lines"),
        pytest.param("a cat", {"steps": "4", "scheduler": "DDIMScheduler"}, id="scheduler"),
        pytest.param("a cat", {"steps": "4", "negative_prompt": "a\nb"}, id="negative"),
        pytest.param("a cat", {}, id="without-steps"),
    ],
)
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_image_tools_find_prompt_and_sampler(
    tmp_path, prompt: str, metadata: dict[str, str], kind: str
):
    from sd_parsers import ParserManager

    from imagepipe.sink.encoding import SUFFIXES, encode
    from imagepipe.sink.metadata import parameters

    text = parameters(prompt, 7, {"guidance": "2", "size": "8x8", "model": "m", **metadata})
    file = tmp_path / f"one.{SUFFIXES[kind]}"
    file.write_bytes(encode(np.zeros((8, 8, 3), np.uint8), {"parameters": text}, kind))
    found = ParserManager().parse(file)
    assert found is not None
    assert [one.value for one in found.prompts] == [" ".join(prompt.split())]
    (sampler,) = found.samplers
    assert sampler.name == metadata.get("scheduler", "the model's own")
    assert sampler.parameters["seed"] == "7"
    assert [one.value for one in found.negative_prompts] == (
        ["a b"] if "negative_prompt" in metadata else []
    )
