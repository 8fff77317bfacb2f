"""A checkpoint in one file, and single parts: the same pixels as of a folder, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import checkpoints
from helpers.tiny_pipelines import FLUX, SD, SDXL, complaint, drawn, painter, small
from safetensors.torch import load_file, save_file

from imagepipe.config import Model, Part
from imagepipe.diffusion.diffusers import load
from imagepipe.errors import UserError

Folder = Callable[[str], Path]
DOWN = "model.diffusion_model.input_blocks."


@pytest.fixture(scope="session")
def single(trained: Folder, untrained: Folder, tmp_path_factory) -> Callable[[str], Model]:
    """A model of the hub in one file, described by its configurations alone."""
    root = tmp_path_factory.mktemp("single")

    def model(hub_id: str) -> Model:
        file = root / f"{hub_id.replace('/', '--')}.safetensors"
        if not file.exists():
            checkpoints.single(trained(hub_id), file)
        return small(file, config=str(untrained(hub_id)))

    return model


def refused(model: Model) -> str:
    """What a check says of it; where it is loaded the same is said."""
    with pytest.raises(UserError) as caught:
        load(model, "cpu")
    assert str(caught.value) == complaint(model)
    return str(caught.value)


def change(model: Model, folder: Path, rename: Callable[[str], str | None]) -> Model:
    held = load_file(str(model.path))
    save_file(
        {new: one for old, one in held.items() if (new := rename(old))}, folder / "c.safetensors"
    )
    return replace(model, path=str(folder / "c.safetensors"))


@pytest.mark.parametrize("hub_id", [SD, SDXL])
def test_one_file_draws_what_its_folder_does(hub_id: str, trained: Folder, single):
    assert np.array_equal(drawn(single(hub_id)), drawn(small(trained(hub_id))))


def test_a_checkpoint_of_another_architecture_is_refused_with_both_named(single, untrained: Folder):
    wrong = replace(single(SDXL), config=str(untrained(SD)))
    assert (
        "is of a StableDiffusionXLPipeline, and the model is a StableDiffusionPipeline"
        in refused(wrong)
    )
    wrong = replace(single(SD), config=str(untrained(SDXL)))
    assert (
        "is of a StableDiffusionPipeline, and the model is a StableDiffusionXLPipeline"
        in refused(wrong)
    )


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        (f"{DOWN}1.0.in_layers.2.weight", "part unet lacks 1 of"),
        ("model.diffusion_model.", "lacks label_emb.0.0.weight of the part unet"),
        ("first_stage_model.", "holds nothing of the part vae"),
        ("first_stage_model.decoder.mid.attn_1.q.weight", "part vae"),
        (
            "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias",
            "part text_encoder lacks 1",
        ),
        (
            "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_bias",
            "part text_encoder_2 lacks 3",
        ),
    ],
)
def test_weights_that_lack_are_named_before_the_run(lacks: str, said: str, single, tmp_path: Path):
    found = refused(
        change(single(SDXL), tmp_path, lambda name: None if name.startswith(lacks) else name)
    )
    assert said in found
    assert "model.path=" in found


def test_weights_of_another_size_are_named(single, untrained: Folder, tmp_path: Path):
    other = Path(shutil.copytree(untrained(SDXL), tmp_path / "other"))
    config = json.loads((other / "unet/config.json").read_text())
    config["block_out_channels"] = [16, 48]
    (other / "unet/config.json").write_text(json.dumps(config))
    found = refused(replace(single(SDXL), config=str(other)))
    assert "its part unet holds " in found and "where its config.json asks 48" in found


def test_a_part_that_a_file_lacks_may_be_named(single, trained: Folder, tmp_path: Path):
    model = change(single(SD), tmp_path, lambda name: name if "cond_stage" not in name else None)
    part = Part(str(trained(SD)), subfolder="text_encoder")
    whole = replace(model, parts={"text_encoder": part})
    assert np.array_equal(drawn(whole), drawn(small(trained(SD))))


def files(trained: Folder, folder: Path) -> dict[str, Path]:
    """Parts of another Stable Diffusion, as they are found: each in a file of its own."""
    torch.manual_seed(0)
    held = {
        part: {
            n: one + 0.02 * torch.randn_like(one)
            for n, one in checkpoints.held(trained(SD) / part).items()
        }
        for part in ("unet", "vae", "text_encoder")
    }
    unet = checkpoints.unet(held["unet"])
    states = {
        "whole": held["text_encoder"],
        "text_encoder": checkpoints.clip(held["text_encoder"]),
        "vae": checkpoints.vae(held["vae"]),
        "unet": {name.removeprefix("model.diffusion_model."): one for name, one in unet.items()},
    }
    for name, state in states.items():
        save_file({n: one.contiguous() for n, one in state.items()}, folder / f"{name}.safetensors")
    for part, state in held.items():
        shutil.copytree(trained(SD) / part, folder / part)
        save_file(state, next((folder / part).glob("*.safetensors")), metadata={"format": "pt"})
    return {path.stem: path for path in folder.iterdir()}


def test_a_part_of_ones_own_is_the_same_from_a_file_and_a_folder(trained: Folder, tmp_path: Path):
    files(trained, tmp_path)
    plain = drawn(small(trained(SD)))
    for name in ("unet", "vae", "text_encoder"):
        paths = [tmp_path / name, tmp_path / f"{name}.safetensors"]
        if name == "vae":
            models = [small(trained(SD), vae=str(path)) for path in paths]
        else:
            models = [small(trained(SD), parts={name: Part(str(path))}) for path in paths]
        folder, file = map(drawn, models)
        assert np.array_equal(folder, file), name
        assert not np.array_equal(folder, plain), name


def test_parts_that_cannot_be_are_refused(trained: Folder, single, tmp_path: Path):
    folder = trained(SD)

    def said(**parts: str) -> str:
        return refused(small(folder, parts={name: Part(path) for name, path in parts.items()}))

    assert 'has no such part. Did you mean "text_encoder"?' in said(text_encodr="x")
    assert said(vae="x").endswith("has its own key. Use model.vae.")
    assert "there is no such file or folder" in said(unet="./x")
    whole = str(single(SDXL).path)
    assert "is of a StableDiffusionXLPipeline, and the model is a StableDiffusionPip" in said(
        unet=whole
    )
    (tmp_path / "te.ckpt").write_bytes(b"PK")
    assert "is a pickled checkpoint" in said(text_encoder=str(tmp_path / "te.ckpt"))
    other = str(trained(FLUX) / "text_encoder_2")
    assert "is a t5, and this model's text_encoder a clip_text_model" in said(text_encoder=other)
    other = str(trained(SDXL) / "unet")
    assert "32 numbers a token of the prompt, and this model's unet 16" in said(unet=other)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ckpt", b"PK", "is a pickled checkpoint in one file, which can run any code"),
        ("a.pt", b"PK", "is a pickled checkpoint in one file, which can run any code"),
        ("a.gguf", b"GGUF1234", "model.parts={transformer: {path: FILE}}"),
        ("a.safetensors", b"version https://git-lfs", "is a pointer of Git LFS"),
        ("a.safetensors", b"broken", "a.safetensors is broken"),
    ],
    ids=["ckpt", "pt", "gguf", "pointer", "broken"],
)
def test_files_that_are_no_checkpoint(name: str, content: bytes, said: str, tmp_path, untrained):
    (tmp_path / name).write_bytes(content)
    for config in (None, str(untrained(SD))):
        assert said in refused(small(tmp_path / name, config=config))


def test_a_file_that_does_not_tell_its_model_wants_a_configuration(tmp_path: Path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert "is one file, and its weights do not show which model it is" in complaint(
        small(tmp_path / "x.safetensors")
    )
    save_file({"lora_unet_x.lora_up.weight": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert "is a LoRA. Add it to its model" in complaint(small(tmp_path / "x.safetensors"))


def test_what_describes_a_file_is_what_diffusers_takes_it_for(single):
    """Offline the hub does not give it, which is said of the right key."""
    found = complaint(replace(single(SD), config=None))
    assert found.startswith("model.config=stable-diffusion-v1-5/stable-diffusion-v1-5: ")


def test_random_weights_need_the_configuration_alone(single):
    assert painter(replace(single(SD), weights="random")).paint(["a cat"], [1]).shape == (
        1,
        32,
        32,
        3,
    )
