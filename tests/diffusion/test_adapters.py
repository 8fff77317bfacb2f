"""IP-Adapters: a picture that says what is drawn, beside the prompt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_adapter import tensors, write_adapter
from helpers.tiny_pipelines import FLUX, PROMPTS, SD, complaint, painter, small

from imagepipe.config import IPAdapter

COLUMNS = {"ip_adapter_image": "like"}
LAYERS = {"1": 32, "3": 32, "5": 32, "7": 32}  # of the tiny SD's UNet, as diffusers counts them
WIDTH = 16


def adapter(folder: Path, **changes) -> IPAdapter:
    return replace(IPAdapter(str(folder), "models", "tiny.safetensors"), **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter"), tensors(LAYERS, WIDTH))


def test_a_picture_says_what_is_drawn(trained, folder: Path):
    """Each row's own, as alone; with a scale of 0 nothing, so that the prompt's picture is left."""
    plain = small(trained(SD), steps=2)
    asked = replace(plain, columns=COLUMNS, ip_adapter=adapter(folder))
    one, two = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    engine = painter(asked)
    seen = [{"ip_adapter_image": one}, {"ip_adapter_image": two}]
    drawn = engine.paint(PROMPTS, [1, 2], None, seen)
    alone = engine.paint(PROMPTS[1:], [2], None, seen[1:])[0]
    other = engine.paint(PROMPTS[1:], [2], None, seen[:1])[0]
    assert np.array_equal(drawn[1], alone)
    assert np.abs(other.astype(int) - alone).max() > 2
    engine.pipe.set_ip_adapter_scale(0.0)
    unseen = engine.paint(PROMPTS[1:], [2], None, seen[1:])[0]
    text = painter(plain).paint(PROMPTS[1:], [2])[0]
    assert np.abs(unseen.astype(int) - text).max() <= 2


def test_the_scale_is_the_one_that_is_asked(trained, folder: Path):
    asked = small(trained(SD), columns=COLUMNS, ip_adapter=adapter(folder, scale=0.25))
    processors = painter(asked).pipe.unet.attn_processors.values()
    assert {tuple(one.scale) for one in processors if hasattr(one, "scale")} == {(0.25,)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(tensors(LAYERS, 32), "does not fit StableDiffusionPipeline", id="width"),
        pytest.param(tensors({"1": 32}, WIDTH), "does not fit StableDiffusion", id="fewer"),
        pytest.param(tensors(LAYERS | {"9": 32}, WIDTH), "has 5 layers, and Stable", id="more"),
        pytest.param(
            {"a": tensors({}, 8)["image_proj.proj.bias"]}, "is not an IP-Adapter", id="else"
        ),
    ],
)
def test_a_file_that_was_made_for_another_model_is_told(
    trained, tmp_path: Path, changed: dict, said: str
):
    made = write_adapter(tmp_path, changed)
    asked = small(trained(SD), columns=COLUMNS, ip_adapter=adapter(made))
    assert f"model.ip_adapter.path={made}: " in (told := complaint(asked))
    assert said in told


def test_an_adapter_that_reads_something_else_than_its_encoder_gives(trained, tmp_path: Path):
    held = tensors(LAYERS, WIDTH)
    for name, said in (
        ("proj.weight", "reads 9 numbers a picture, and its image encoder gives 12. Name the"),
        ("proj_in.weight", "reads 9 numbers a picture, and its image encoder gives 16. Name the"),
        ("norm.weight", "needs face embeddings from another library (FaceID), not pictures"),
    ):
        own = {key: value for key, value in held.items() if not key.startswith("image_proj.")}
        own[f"image_proj.{name}"] = held["image_proj.proj.weight"][:, :9].contiguous()
        made = write_adapter(tmp_path / name, own)
        asked = small(trained(SD), columns=COLUMNS, ip_adapter=adapter(made))
        assert said in complaint(asked)


def test_an_adapter_that_is_not_there_or_that_nothing_can_use(trained, folder: Path, tmp_path):
    plain = small(trained(SD), columns=COLUMNS)
    for asked, said in (
        (adapter(folder, subfolder=""), "image_encoder holds no config.json. Name the folder of"),
        (adapter(folder, weight_name="b.safetensors"), "there is no models/b.safetensors in it."),
        (
            adapter(folder, weight_name="a.bin"),
            "model.ip_adapter.weight_name=a.bin: is not a safet",
        ),
        (
            adapter(folder, weight_name=None),
            "weight_name=None: is not a safetensors file. Name the",
        ),
        (adapter(folder, image_encoder_folder="looks"), "looks holds no config.json. Name the"),
        (adapter(tmp_path / "gone"), "there is no such file or folder"),
        (IPAdapter(), "columns.ip_adapter_image=like: is for an IP-Adapter, and there is none"),
    ):
        assert said in complaint(replace(plain, ip_adapter=asked))
    unseen = replace(plain, columns={}, ip_adapter=adapter(folder))
    assert "gets no pictures. Name their column" in complaint(unseen)


def test_a_family_without_a_unet_takes_none(trained, folder: Path):
    asked = small(trained(FLUX), columns=COLUMNS, ip_adapter=adapter(folder))
    assert "has no UNet that diffusers adds an IP-Adapter to. Set it to null." in complaint(asked)
