"""What a model needs compared with what its files hold, from their headers and once loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from imagepipe.errors import UserError
from imagepipe.stages import loading

SIZES: dict[str, Any] = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "projection_dim": 8,
}
CLIP = transformers.CLIPConfig(
    text_config=transformers.CLIPTextConfig(**SIZES, vocab_size=20).to_dict(),
    vision_config=transformers.CLIPVisionConfig(**SIZES, image_size=32, patch_size=16).to_dict(),
    projection_dim=8,
)
T5 = transformers.T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
FILE = "model.safetensors"
Rename = Callable[[str], str | None]


def llama(tied: bool = False) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(**SIZES, vocab_size=20, tie_word_embeddings=tied)


def changed(folder: Path, rename: Rename, file: str = FILE) -> Path:
    """With other names of weights in `file`; null: without that one."""
    held = load_file(folder / file)
    kept = {new: value for old, value in held.items() if (new := rename(old))}
    save_file(kept, folder / file, metadata={"format": "pt"})
    return folder


def compare(kind: Any, folder: Path) -> None:
    """By the headers, and as a process loads it."""
    loading.check_fit("llm.path", str(folder), None, lambda: kind)
    assert loading.load("llm.path", str(folder), kind).device.type == "cpu"


def complaints(kind: Any, folder: Path) -> set[str]:
    said = set()
    for arguments in ({"device_map": "meta"}, {}):
        with pytest.raises(UserError) as caught:
            loading.load("llm.path", str(folder), kind, **arguments)
        said.add(str(caught.value))
    return said


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda k: None if ".mlp." in k else k, "lacks 6 of the 21 weights of LlamaForCausalLM, "
         "such as model.layers.0.mlp.down_proj.weight"),
        (lambda k: f"_orig_mod.{k}", "lacks 21 of the 21 .* and holds others, such as _orig_mod."),
        (lambda k: None if k == "lm_head.weight" else k, "lacks 1 of .* such as lm_head.weight"),
        (lambda k: k.replace("layers.1", "layers.7"), "lacks 9 of .* such as model.layers.1."),
    ],
    ids=["dropped", "wrapped", "head", "numbered"],
)  # fmt: skip
def test_weights_that_are_missing_are_refused(rename: Rename, said: str, tmp_path: Path):
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path)
    compare(transformers.AutoModelForCausalLM, tmp_path)
    changed(tmp_path, rename)
    [complaint] = complaints(
        transformers.AutoModelForCausalLM, tmp_path
    )  # the same of the headers and a load
    assert complaint.startswith(f"llm.path={tmp_path}: {tmp_path} ")
    with pytest.raises(UserError, match=said):
        loading.check_fit(
            "llm.path", str(tmp_path), None, lambda: transformers.AutoModelForCausalLM
        )


def test_weights_are_missing_in_one_of_several_files(tmp_path: Path):
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path, max_shard_size="2KB")
    compare(transformers.AutoModelForCausalLM, tmp_path)
    files = json.loads((tmp_path / f"{FILE}.index.json").read_text())["weight_map"]
    lost = "model.layers.1.self_attn.q_proj.weight"
    changed(tmp_path, lambda k: None if k == lost else k, files[lost])
    assert all(f"lacks 1 of the 21 weights of LlamaForCausalLM, such as {lost}" in said
               for said in complaints(transformers.AutoModelForCausalLM, tmp_path))  # fmt: skip


def test_weights_of_another_shape_are_refused(tmp_path: Path):
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 30}))
    [complaint] = complaints(transformers.AutoModelForCausalLM, tmp_path)
    assert "holds lm_head.weight as 20x8, where its config.json asks 30x8" in complaint


@pytest.mark.parametrize(("number", "count"), [(1, 9), (0, 18)], ids=["one", "none"])
def test_layers_that_the_configuration_does_not_count_are_not_left_out(number, count, tmp_path):
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": number}))
    [complaint] = complaints(transformers.AutoModelForCausalLM, tmp_path)
    assert (
        f"holds {count} weights, such as model.layers.{number}.input_layernorm.weight" in complaint
    )
    assert "of layers that its config.json does not count" in complaint


def test_a_file_that_is_cut_is_refused(tmp_path: Path):
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-100])
    assert all(
        "is broken (" in said for said in complaints(transformers.AutoModelForCausalLM, tmp_path)
    )


def with_extras(folder: Path, **extra: torch.Tensor) -> None:
    save_file(load_file(folder / FILE) | extra, folder / FILE, metadata={"format": "pt"})


def tied(folder: Path) -> Any:
    transformers.LlamaForCausalLM(llama(tied=True)).save_pretrained(folder)
    assert "lm_head.weight" not in load_file(folder / FILE)
    return transformers.AutoModelForCausalLM


def of_the_base(folder: Path) -> Any:
    """A head that is tied, and names without the prefix of the model that has it."""
    transformers.LlamaModel(llama(tied=True)).save_pretrained(folder)
    return transformers.AutoModelForCausalLM


def extra_buffers(folder: Path) -> Any:
    """As older versions of transformers saved them."""
    transformers.CLIPModel(CLIP).save_pretrained(folder)
    places = torch.arange(2).unsqueeze(0)
    with_extras(folder, **{"text_model.embeddings.position_ids": places})
    return transformers.CLIPModel


def unscaled(folder: Path) -> Any:
    transformers.CLIPModel(CLIP).save_pretrained(folder)
    changed(folder, lambda k: None if k == "logit_scale" else k)
    return transformers.CLIPModel


def half(folder: Path) -> Any:
    transformers.CLIPModel(CLIP).half().save_pretrained(folder)
    return transformers.CLIPModel


def one_of_two_towers(folder: Path) -> Any:
    transformers.CLIPModel(CLIP).save_pretrained(folder)
    return transformers.CLIPTextModel


def encoder_of_both(folder: Path) -> Any:
    transformers.T5ForConditionalGeneration(T5).save_pretrained(folder)
    return transformers.T5EncoderModel


@pytest.mark.parametrize(
    "saved",
    [tied, of_the_base, extra_buffers, unscaled, half, one_of_two_towers, encoder_of_both],
)
def test_what_is_no_fault_is_taken(saved: Callable[[Path], Any], tmp_path: Path):
    compare(saved(tmp_path), tmp_path)


def test_quantised_weights_are_left_to_the_process_that_loads_them(tmp_path: Path):
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    method = {"quantization_config": {"quant_method": "awq", "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps(config | method))
    loading.check_fit("llm.path", str(tmp_path), None, lambda: pytest.fail("was loaded"))


@pytest.mark.parametrize("name", ["tiny_llm", "tiny_clip"])
def test_what_ships_is_whole(name: str):
    kind = {"tiny_llm": transformers.AutoModelForCausalLM, "tiny_clip": transformers.CLIPModel}[
        name
    ]
    loading.load("llm.path", f"asset:{name}", kind, device_map="meta")
