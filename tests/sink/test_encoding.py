"""PNG, JPEG and WebP: the picture, what it says of itself, and that a model made it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.configs import composed
from helpers.written import batch, writer
from PIL import Image

from imagepipe.errors import UserError
from imagepipe.sink import results
from imagepipe.sink.encoding import MADE_BY_A_MODEL, SUFFIXES, encode

FORMATS = ["png", "jpeg", "webp"]
SMOOTH = np.indices((64, 64)).sum(0, keepdims=True).repeat(3, 0).transpose(1, 2, 0).astype(np.uint8)


def xmp(picture: Image.Image) -> dict[str, str]:
    raw = picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"].encode()
    described = ElementTree.fromstring(raw.decode()).find(".//{*}Description")
    return {part.tag.partition("}")[2]: part.text or "" for part in described}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_says_that_a_model_made_it(kind: str):
    with Image.open(io.BytesIO(encode(SMOOTH, {"prompt": "a <cat> & é"}, kind))) as picture:
        said = xmp(picture)
        assert said["DigitalSourceType"] == MADE_BY_A_MODEL
        assert picture.format == kind.upper()
        if kind == "png":
            assert picture.text["prompt"] == "a <cat> & é"
        else:
            assert json.loads(said["metadata"])["prompt"] == "a <cat> & é"
        off = np.abs(np.asarray(picture.convert("RGB")).astype(int) - SMOOTH)
        assert off.max() <= (0 if kind == "png" else 12)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_quality_decides_the_size(kind: str):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    sizes = [len(encode(noise, {}, kind, quality)) for quality in (30, None, 95)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_texts_of_any_length_fit(kind: str):
    long = {"parameters": "ж" * 100_000, "prompt": "<" * 300_000, "id": "7"}
    with Image.open(io.BytesIO(encode(SMOOTH, long, kind))) as picture:
        assert json.loads(xmp(picture)["metadata"])["id"] == "7"


@pytest.mark.parametrize("kind", FORMATS)
def test_each_sink_writes_it_and_finds_it_again(tmp_path: Path, kind: str):
    write = writer(tmp_path, image_format=kind, image_bytes=True, webdataset=True)
    write(batch(["a", "b"]))
    suffix = SUFFIXES[kind]
    assert {path.name for path in (tmp_path / "images").iterdir()} == {f"a.{suffix}", f"b.{suffix}"}
    [shard] = (tmp_path / "shards").iterdir()
    with tarfile.open(shard) as tar:
        assert tar.getnames() == [f"a.{suffix}", "a.json", f"b.{suffix}", "b.json"]
    for given in ({"png": True}, {"png": False, "webdataset": True}):
        folder = tmp_path / f"only-{given['png']}"
        write = writer(folder, image_format=kind, **given)
        write(batch(["a", "b"]))
        found = results.of_rows(write.store, "id", ["a", "b"])
        assert [Image.open(io.BytesIO(one.png)).format for one in found] == [kind.upper()] * 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sink.image_format=gif"], "Choose one of: png, jpeg, webp"),
        (["sink.quality=80"], "sink.quality=80: has no effect with sink.image_format=png"),
        (["sink.image_format=jpeg", "sink.quality=0"], "sink.quality=0: is too small"),
        (["sink.image_format=webp", "model.width=16384"], "model.width=16384: is too large"),
    ],
    ids=["format", "png", "quality", "size"],
)
def test_what_cannot_be_written_is_refused(overrides: list[str], said: str):
    with pytest.raises(UserError) as caught:
        composed(*overrides)
    assert said in str(caught.value)
