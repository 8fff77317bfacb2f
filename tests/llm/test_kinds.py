"""Models of other kinds are told by what they are; odd ones of the right kind are asked well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from imagepipe.config import LLM
from imagepipe.errors import UserError
from imagepipe.llm import check, make
from imagepipe.llm.questions import Questions
from imagepipe.stages.weights import locate

USER = "Prompt: {prompt}\nSeason: {season}"
REFUSES = "{{ raise_exception('System role not supported') }}"
NO_SYSTEM = f"{{% if messages[0]['role'] == 'system' %}}{REFUSES}{{% endif %}}"
ALTERNATES = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}"
)


def copy(folder: Path) -> Path:
    return Path(shutil.copytree(locate("asset:tiny_llm"), folder / "model"))


def described(folder: Path, file: str, **changes: object) -> None:
    """Change a JSON file; null takes a key out."""
    held = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    kept = {name: value for name, value in (held | changes).items() if value is not None}
    (folder / file).write_text(json.dumps(kept))


def template(folder: Path, before: str) -> None:
    file = folder / "chat_template.jinja"
    file.write_text(before + file.read_text())


def config(path: Path, **changes: object) -> LLM:
    values = {"name": "x", "engine": "transformers", "path": str(path), "user": USER}
    return LLM(**{**values, "dtype": "float32", "temperature": 0.0, **changes})


def gguf(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-Q4_K_M.gguf")


def gguf_alone(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "a.gguf").write_bytes(b"GGUF")


def adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    named = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen2.5-0.5B-Instruct"}
    described(folder, "adapter_config.json", **named)
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def original(folder: Path) -> None:
    (folder / "config.json").rename(folder / "params.json")
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")


def onnx(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.onnx")


def mlx(folder: Path) -> None:
    described(folder, "config.json", quantization={"group_size": 64, "bits": 4})


def awq(folder: Path) -> None:
    method = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}
    described(folder, "config.json", quantization_config=method | {"zero_point": True})


def gptq(folder: Path) -> None:
    method = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}
    described(folder, "config.json", quantization_config=method)


def t5(folder: Path) -> None:
    described(folder, "config.json", model_type="t5", architectures=None)


def without_layers(folder: Path) -> None:
    file = folder / "model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if ".mlp." not in name}
    save_file(kept, file, metadata={"format": "pt"})


def other_names(folder: Path) -> None:
    file = folder / "model.safetensors"
    named = {f"_orig_mod.{name}": value for name, value in load_file(file).items()}
    save_file(named, file, metadata={"format": "pt"})


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


@pytest.mark.parametrize(
    ("change", "kind", "way"),
    [
        (gguf, "is GGUF, the format of llama.cpp", "llm=openai"),
        (gguf_alone, "is GGUF, the format of llama.cpp", "llama-server"),
        (adapter, "is an adapter of peft for Qwen/Qwen2.5-0.5B-Instruct", "merge_and_unload"),
        (original, "is in its maker's own format", "transformers"),
        (onnx, "is ONNX", "transformers"),
        (mlx, "is quantised for MLX", "as transformers has it"),
        (awq, r"is quantised \(AWQ\): .*requires gptqmodel", "llm.engine=vllm"),
        (gptq, r"is quantised \(GPTQ\): .*requires", "llm=openai"),
        (t5, "is a t5, which does not continue a text", "instruction-tuned"),
        (without_layers, "lacks 12 of the 39 weights", "Fetch or save"),
        (other_names, "holds others, such as _orig_mod", "Fetch or save"),
        (no_template, "it has no chat template", "instruction-tuned"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_no_engine_can_read_is_refused_by_its_kind(
    tmp_path: Path, change: Callable[[Path], None], kind: str, way: str
) -> None:
    model = copy(tmp_path)
    change(model)
    with pytest.raises(UserError, match=rf"llm\.path=.*{kind}.*{way}"):
        check(config(model))


def test_a_file_is_told_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.Q4").write_bytes(b"GGUF" + bytes(8))
    with pytest.raises(UserError, match="is GGUF"):
        check(config(tmp_path / "model.Q4"))
    with pytest.raises(UserError, match="is one file, and a model is a folder"):
        check(config(copy(tmp_path) / "model.safetensors"))


@pytest.mark.parametrize("before", [NO_SYSTEM, ALTERNATES], ids=["no_system", "alternates"])
def test_a_template_without_a_system_role_gets_it_before_the_question(
    tmp_path: Path, before: str
) -> None:
    model = copy(tmp_path)
    template(model, before)
    asked = config(model, system="Be brief.")
    check(asked)
    questions = Questions(asked)
    said = questions.tokenizer.decode(questions.ids("a cat", "winter"))
    assert said == "<|user|>Be brief.\n\nPrompt: a cat\nSeason: winter<|assistant|>"


@pytest.mark.parametrize(
    "whole",
    [REFUSES, "", "<|user|>Hello!<|assistant|>"],
    ids=["refuses", "empty", "says-something-else"],
)
@pytest.mark.parametrize(
    ("system", "said"),
    [("Be brief.", "neither a system message nor a question"), ("", "not a question")],
    ids=["system", "alone"],
)
def test_a_template_that_takes_no_question_is_refused(
    tmp_path: Path, whole: str, system: str, said: str
) -> None:
    model = copy(tmp_path)
    (model / "chat_template.jinja").write_text(whole)
    with pytest.raises(UserError, match=f"chat template takes {said} alone"):
        check(config(model, system=system))


@pytest.mark.parametrize("where", ["generation_config.json", "config.json", "tokenizer"])
def test_an_answer_ends_at_each_token_that_the_model_names(tmp_path: Path, where: str) -> None:
    """Wherever its makers named it: 3 is what the embedded model ends with."""
    model = copy(tmp_path)
    for file in ("generation_config.json", "config.json"):
        described(model, file, eos_token_id=[0, 3] if file == where else 0)
    if where != "tokenizer":
        described(model, "tokenizer_config.json", eos_token="<|pad|>")
    enhancer = make(config(model))
    enhancer.load()
    (answer,) = enhancer.enhance(["a red cat"], ["winter"], [1])
    assert answer.finish_reason == "stop"
    assert answer.tokens_out < 30
    assert "<|" not in answer.text


def test_an_end_that_nobody_names_stays_in_the_text(tmp_path: Path) -> None:
    """So that it is cut there, and not run on behind."""
    model = copy(tmp_path)
    for file in ("generation_config.json", "config.json"):
        described(model, file, eos_token_id=0)
    described(model, "tokenizer_config.json", eos_token="<|pad|>")
    enhancer = make(config(model))
    enhancer.load()
    (answer,) = enhancer.enhance(["a red cat"], ["winter"], [1])
    assert answer.finish_reason == "length"
    assert "<|end|>" in answer.text


def test_a_model_without_positions_reads_what_its_tokenizer_says(tmp_path: Path) -> None:
    import torch
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = copy(tmp_path)
    sizes = {"vocab_size": 2000, "hidden_size": 16, "num_hidden_layers": 1, "state_size": 2}
    MambaForCausalLM(MambaConfig(**sizes)).save_pretrained(model)
    check(config(model))
    assert Questions(config(model)).context == 256
    assert Questions(config(model, max_model_len=100)).context == 100
    described(model, "tokenizer_config.json", model_max_length=None)
    assert Questions(config(model, max_model_len=100)).context == 100
    assert Questions(config(model)).ids("a cat " * 500, "winter")


def test_a_text_of_the_users_own_ends_an_answer() -> None:
    whole, cut = (
        make(config(locate("asset:tiny_llm"), stop=stop)) for stop in ([], [" with", ","])
    )
    for enhancer in (whole, cut):
        enhancer.load()
    asked = ["a red cat", "a lion wearing a hat"], ["winter", "summer"], [1, 2]
    for long, short in zip(whole.enhance(*asked), cut.enhance(*asked), strict=True):
        assert short.finish_reason == "stop"
        assert short.tokens_out < long.tokens_out
        assert long.text.startswith(short.text)
