"""The files of a diffusers model are compared with what its parts need, before a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_pipelines import FLUX, SD, SDXL, complaint, painter, small
from safetensors.torch import load_file, save_file

from imagepipe.config import Model
from imagepipe.diffusion import checks, fit, model_index, repository
from imagepipe.diffusion.diffusers import load
from imagepipe.errors import UserError

Rename = Callable[[str], str | None]
Folder = Callable[[str], Path]


@pytest.fixture
def copied(trained: Folder, tmp_path: Path) -> Folder:
    return lambda hub_id: Path(shutil.copytree(trained(hub_id), tmp_path / "copy"))


def change(part: Path, rename: Rename) -> None:
    for file in part.glob("*.safetensors"):
        held = load_file(file)
        kept = {new: value for old, value in held.items() if (new := rename(old))}
        save_file(kept, file, metadata={"format": "pt"})


def without(start: str) -> Rename:
    return lambda key: None if key.startswith(start) else key


def wrapped(key: str) -> str:
    return f"_orig_mod.{key}"


@pytest.mark.parametrize(
    ("hub_id", "part", "rename", "said"),
    [
        (SD, "unet", without("mid_block"), "UNet2DConditionModel, such as mid_block."),
        (SD, "unet", wrapped, "and holds others, such as _orig_mod."),
        (SD, "vae", without("decoder.mid"), "of AutoencoderKL, such as decoder.mid_block."),
        (SD, "text_encoder", wrapped, "of CLIPTextModel, such as "),
        (SDXL, "text_encoder_2", without("text_projection"), "such as text_projection.weight"),
        (FLUX, "text_encoder_2", without("shared"), "T5EncoderModel, such as encoder.embed_tokens"),
        (FLUX, "transformer", without("single"), "such as single_transformer_blocks.0."),
    ],
    ids=["unet", "wrapped", "vae", "encoder", "second", "t5", "flux"],
)
def test_a_part_that_lacks_weights_is_refused(
    hub_id: str, part: str, rename: Rename, said: str, copied: Folder
):
    folder = copied(hub_id)
    change(folder / part, rename)
    complained = complaint(small(folder))
    assert complained.startswith(f"model.path={folder}: {folder / part} lacks ")
    assert said in complained
    with pytest.raises(UserError, match="lacks"):  # on a node that holds other files
        load(small(folder), "cpu")


def test_a_weight_of_another_shape_is_refused(copied: Folder):
    folder = copied(SD)
    held = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    wide = torch.cat([held["conv_in.weight"]] * 2, dim=1)  # as of a model that changes pictures
    save_file(held | {"conv_in.weight": wide}, folder / "unet/diffusion_pytorch_model.safetensors")
    said = complaint(small(folder))
    assert "holds conv_in.weight as 16x8x3x3, where its config.json asks 16x4x3x3" in said


def test_layers_that_a_configuration_does_not_count_are_not_left_out(copied: Folder):
    folder = copied(FLUX)
    file = folder / "transformer/diffusion_pytorch_model.safetensors"
    held = load_file(file)
    more = {name.replace("blocks.0", "blocks.1"): v.clone() for name, v in held.items()}
    save_file(held | more, file, metadata={"format": "pt"})
    assert "of layers that its config.json does not count" in complaint(small(folder))


def test_a_decoder_of_another_place_is_compared_too(trained: Folder, copied: Folder):
    vae = copied(SD) / "vae"
    painter(small(trained(SD), vae=str(vae)))
    change(vae, without("decoder.mid"))
    model = small(trained(SD), vae=str(vae))
    assert f"model.vae={vae}: {vae} lacks" in complaint(model)
    with pytest.raises(UserError, match=r"model\.vae=.* lacks"):
        load(model, "cpu")


def shards(folder: Path) -> Model:
    import diffusers

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    shutil.rmtree(folder)
    pipe.save_pretrained(folder, max_shard_size="20KB")
    assert list(folder.glob("unet/*-00001-of-*"))
    return small(folder)


def halves(folder: Path) -> Model:
    import diffusers

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float16)
    shutil.rmtree(folder)
    pipe.save_pretrained(folder, variant="fp16")
    return small(folder, variant="fp16")


def old_names(folder: Path) -> Model:
    """As the decoders of Stable Diffusion 1 are saved on the hub."""
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(key: str) -> str:
        found = next((name for name in names if f".{name}." in key), None)
        return key.replace(found, names[found]) if found else key

    change(folder / "vae", rename)
    assert any(".query." in k for file in (folder / "vae").glob("*.safe*") for k in load_file(file))
    return small(folder)


def pickles(folder: Path) -> Model:
    for file in [*folder.glob("unet/*.safetensors"), *folder.glob("text_encoder/*.safetensors")]:
        name = "pytorch_model.bin" if file.stem == "model" else f"{file.stem}.bin"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    return small(folder, use_safetensors=False)


def extras(folder: Path) -> Model:
    """A checker that no prompt needs, weights of an average, and a key of an older version."""
    (folder / "unet/diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"another's")
    file = folder / "text_encoder/model.safetensors"
    more = {"text_model.embeddings.position_ids": torch.arange(77).unsqueeze(0)}
    save_file(load_file(file) | more, file, metadata={"format": "pt"})
    return small(folder)


@pytest.mark.parametrize("saved", [shards, halves, old_names, pickles, extras])
def test_what_is_no_fault_is_taken(saved: Callable[[Path], Model], copied: Folder):
    model = saved(copied(SD))
    checks.check(model)
    load(model, "cpu")


def test_a_shard_that_lacks_what_its_index_names_is_refused(copied: Folder):
    folder = copied(SD)
    model = shards(folder)
    change(folder / "unet", without("conv_out.weight"))
    assert "lacks 1 of the" in complaint(model)


def test_what_ships_is_whole():
    found = repository.fetch(Model("tiny", "diffusers", "asset:tiny"))
    fit.check(small(found), repository.read(found))


@pytest.mark.parametrize(
    "kind",
    [
        "StableDiffusionInpaintPipeline",
        "StableDiffusionInstructPix2PixPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionControlNetPipeline",
        "StableDiffusionUpscalePipeline",
    ],
)
def test_a_pipeline_that_changes_pictures_is_refused(kind: str, copied: Folder):
    folder = copied(SD)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
    assert f"{kind} changes a picture that it is given" in complaint(small(folder))


@pytest.mark.parametrize("part", ["vae", "tokenizer", "text_encoder", "unet", "scheduler"])
def test_an_index_without_a_part_of_its_class(part: str, copied: Folder):
    file = copied(SD) / "model_index.json"
    index = json.loads(file.read_text())
    file.write_text(json.dumps({name: one for name, one in index.items() if name != part}))
    assert f"{file} is broken (it names no {part})" in complaint(small(file.parent))


@pytest.mark.parametrize("written", [[2], [2, 2], 7, True, "vae", None, {"a": 1}, [], [["a", "b"]]])
@pytest.mark.parametrize("has_folder", [True, False])
def test_an_index_in_which_a_part_is_none(written: Any, has_folder: bool, copied: Folder):
    file = copied(SD) / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"vae": written}))
    if not has_folder:
        shutil.rmtree(file.parent / "vae")
    said = complaint(small(file.parent))
    assert f"{file} is broken (its 'vae' names no library and class)" in said
    assert said.count("\n") == 0


def test_an_index_may_leave_out_what_draws_nothing(copied: Folder):
    file = copied(SD) / "model_index.json"
    index = json.loads(file.read_text())
    left = {name: one for name, one in index.items() if name not in model_index.OPTIONAL}
    file.write_text(json.dumps(left))
    fit.check(small(file.parent), repository.read(file.parent))


@pytest.mark.parametrize(
    "file", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"]
)
def test_a_pointer_of_git_lfs_is_told(file: str, copied: Folder):
    folder = copied(SD)
    (folder / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert f"{folder / file} is a pointer of Git LFS" in complaint(small(folder))


@pytest.mark.parametrize(
    ("part", "name"),
    [("unet", "mid_block_scale_factor"), ("unet", "norm_eps"), ("vae", "scaling_factor")],
)
def test_a_text_where_a_part_has_a_number_is_refused(part: str, name: str, copied: Folder):
    file = copied(SD) / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: "1\x1b.0"}))
    said = complaint(small(file.parent.parent))
    assert f"{file} is broken ({name} is '1" in said and "and no number)" in said


def test_a_decoder_in_one_file_that_lacks_weights_is_told(trained: Folder, tmp_path: Path):
    save_file({"decoder.conv_in.weight": torch.zeros(1)}, tmp_path / "vae.safetensors")
    said = complaint(small(trained(SD), vae=str(tmp_path / "vae.safetensors")))
    assert f"model.vae={tmp_path}/vae.safetensors: its part vae lacks " in said
    assert "weights of AutoencoderKL, such as decoder." in said
