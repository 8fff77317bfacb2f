"""A path that holds no model in the needed layout is told by what it is, with the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from imagepipe.errors import UserError
from imagepipe.stages import kinds, weights

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3438167536\n"


def safe(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_file({name: torch.zeros(1)}, folder / "one.safetensors")
        return folder / "one.safetensors"

    return write


def file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def in_folder(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    return lambda folder: write(folder).parent


ADAPTER = json.dumps({"base_model_name_or_path": "owner/base"}).encode()
CASES = {
    "sd": (safe("model.diffusion_model.x"), "is a checkpoint in one file. Name the file itself"),
    "folder": (in_folder(safe("model.diffusion_model.x")), "is a checkpoint in one file"),
    "flux": (safe("double_blocks.0.x"), "is a checkpoint in one file. Name the file itself"),
    "lora": (safe("lora_unet_x.lora_up.weight"), "is a LoRA. Add it to its model: model.loras"),
    "any": (safe("x"), "is one file, and a model is a folder"),
    "ckpt": (file("one.ckpt", b"PK"), "is a pickled checkpoint in one file"),
    "gguf": (file("one.gguf", b"GGUF1234"), "is GGUF, the format of llama.cpp"),
    "renamed": (file("one.bin", b"GGUF1234"), "is GGUF, the format of llama.cpp"),
    "ggufs": (in_folder(file("q4.gguf", b"GGUF1234")), "is GGUF, the format of llama.cpp"),
    "pointer": (file("one.safetensors", POINTER), "is a pointer of Git LFS"),
    "adapter": (in_folder(file("adapter_config.json", ADAPTER)), "adapter of peft for owner/base"),
    "tensorflow": (in_folder(file("tf_model.h5", b"")), "is in the format of TensorFlow"),
    "openvino": (in_folder(file("openvino_model.xml", b"")), "is in the format of OpenVINO"),
    "engine": (file("unet.engine", b""), "is made for TensorRT"),
    "zip": (file("one.zip", b"PK\x03\x04"), "is an archive. Unpack it, and name the folder"),
    "tar": (file("one.tar", b""), "is an archive. Unpack it, and name the folder"),
    "clip": (in_folder(file("open_clip_config.json", b"{}")), "is in the layout of open_clip"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_kind_is_told_with_the_way(name: str, tmp_path: Path):
    write, said = CASES[name]
    path = write(tmp_path)
    with pytest.raises(UserError) as caught:
        weights.check("model.path", str(path), None, "model_index.json")
    assert str(caught.value).startswith(f"model.path={path}: is ")
    assert said in str(caught.value)


def test_a_pipeline_in_place_of_a_model_and_the_other_way_round(tmp_path: Path):
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(UserError, match=r"is a diffusers pipeline\. Name it as model\.path"):
        weights.check_safe("llm.path", str(tmp_path), None)
    (tmp_path / "model_index.json").rename(tmp_path / "config.json")
    with pytest.raises(UserError, match="is one model of a kind of its own, and no pipeline"):
        weights.check("model.path", str(tmp_path), None, "model_index.json")


def test_what_tells_nothing_is_said_to_be_missing(tmp_path: Path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "none.safetensors"):
        assert kinds.told(path) is None
        lacking = path / "model_index.json" if path.exists() else path
        with pytest.raises(UserError, match=rf"no model is there \({lacking} does not exist\)"):
            weights.check("model.path", str(path), None, "model_index.json")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_no_broken_file(name: str, tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    weights.check_safe("llm.path", str(tmp_path), None)
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(UserError, match=rf"{name} is a pointer of Git LFS.*git lfs pull"):
        weights.check_safe("llm.path", str(tmp_path), None)
