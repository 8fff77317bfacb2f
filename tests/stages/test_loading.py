"""Comparing what files hold with what a class needs says nothing beside its own refusal."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import pytest
import torch
from helpers.refusals import refusal
from safetensors.torch import save_file

from imagepipe.config import Model, Part
from imagepipe.diffusion.checks import check
from imagepipe.errors import UserError
from imagepipe.stages.loading import check_fit, refuse_tokens
from imagepipe.stages.weights import locate


@pytest.mark.parametrize("name", ["torchao", "torch.utils"])
def test_a_class_is_imported_once_the_notes_of_its_libraries_are_off(name, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    folder = shutil.copytree(locate("asset:tiny_clip"), tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"none")
    seen: list[int] = []

    def kind() -> Any:
        from transformers import CLIPModel

        seen.append(logging.getLogger(name).level)
        return CLIPModel

    with pytest.raises(UserError, match="scorer.path"):
        check_fit("scorer.path", str(folder), None, kind)
    assert seen == [logging.ERROR]


@pytest.mark.parametrize("key", ["path", "parts", "vae"])
def test_a_file_is_looked_into_once_the_notes_are_off(key, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("torchao"), "level", logging.NOTSET)
    file = tmp_path / "some.safetensors"
    save_file({"a.weight": torch.zeros(2)}, file)
    values = {"path": str(file), "parts": {"unet": Part(str(file))}, "vae": str(tmp_path)}
    with pytest.raises(UserError, match="^model."):
        check(Model("x", "diffusers", **{"path": "asset:tiny", key: values[key]}))
    assert logging.getLogger("torchao").level == logging.ERROR


@pytest.mark.parametrize("name", ["bos_token", "eos_token", "pad_token", "unk_token"])
def test_a_token_that_the_weights_do_not_know(name: str):
    from transformers import AutoTokenizer, CLIPModel

    path = locate("asset:tiny_clip")
    model = CLIPModel.from_pretrained(path)
    refuse_tokens("scorer.path", "mine", AutoTokenizer.from_pretrained(path), model)
    tokenizer = AutoTokenizer.from_pretrained(path, **{name: "<new>"})
    said = refusal(refuse_tokens, "scorer.path", "mine", tokenizer, model)
    assert said.startswith(f"scorer.path=mine: its tokenizer gives {name} the number 957, but its")
