"""Files of models that are there, and are not what the libraries expect: told before the run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers import fuzz_models

from imagepipe.diffusion import repository
from imagepipe.errors import UserError


def refused(kind: str, file: str, content: str | dict[str, Any]) -> str:
    """What is said of a copy of the embedded model `kind` with other content in one of its files:
    a whole text, or other values of its JSON.
    """
    with fuzz_models.copy(kind) as folder:
        path = folder / file
        text = content if isinstance(content, str) else json.loads(path.read_text()) | content
        path.unlink()
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        with pytest.raises(UserError) as caught:
            fuzz_models.CHECKS[kind](str(folder))
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [
        pytest.param("tiny", "unet/config.json", {"in_channels": None}, id="unet-null"),
        pytest.param("tiny", "model_index.json", {"_class_name": None}, id="no-pipeline"),
        pytest.param("tiny", "model_index.json", {"_class_name": []}, id="pipeline-of-nothing"),
        pytest.param("tiny", "model_index.json", {"_class_name": ["a"]}, id="pipeline-of-one"),
        pytest.param("tiny", "model_index.json", {"unet": []}, id="part-of-nothing"),
        pytest.param("tiny", "model_index.json", {"unet": ["diffusers"]}, id="part-of-one"),
        pytest.param("tiny", "model_index.json", {"unet": ["diffusers", 5]}, id="part-of-a-number"),
        pytest.param("tiny", "vae/config.json", {"out_channels": None}, id="vae-null"),
        pytest.param("tiny", "text_encoder/config.json", {"vocab_size": None}, id="encoder-null"),
        pytest.param("tiny", "tokenizer/tokenizer.json", "{", id="tokenizer-cut"),
        pytest.param(
            "tiny", "scheduler/scheduler_config.json", {"beta_schedule": "x"}, id="scheduler"
        ),
        pytest.param("tiny_llm", "tokenizer.json", '{"a": 1}', id="llm-tokenizer"),
        pytest.param("tiny_llm", "config.json", {"num_hidden_layers": "x"}, id="llm-text"),
        pytest.param("tiny_llm", "chat_template.jinja", "{% for x", id="llm-template"),
        pytest.param("tiny_llm", "tokenizer_config.json", "[", id="llm-not-json"),
        pytest.param("tiny_clip", "config.json", {"text_config": 3}, id="scorer-number"),
        pytest.param("tiny_clip", "processor_config.json", "{}", id="scorer-sees-nothing"),
        pytest.param("tiny_clip", "processor_config.json", "[", id="scorer-not-json"),
        pytest.param("tiny_clip", "tokenizer.json", "{", id="scorer-tokenizer-cut"),
    ],
)
def test_it_is_refused_with_the_cause(kind: str, file: str, content: str | dict[str, Any]) -> None:
    said = refused(kind, file, content)
    assert "is broken (" in said or "cannot be used (" in said, said


def test_lists_of_an_index_that_are_no_part() -> None:
    with fuzz_models.copy("tiny") as folder:
        file = folder / "model_index.json"
        index = json.loads(file.read_text())
        more = {"safety_checker": [None, None], "levels": [1, 0.5], "_more": ["a"]}
        file.unlink()
        file.write_text(json.dumps(index | more))
        assert set(repository.parts(repository.read(folder).index)) == set(repository.parts(index))


@pytest.mark.parametrize("what", ["folder", "link"])
def test_weights_that_are_no_file_are_none(what: str) -> None:
    with fuzz_models.copy("tiny") as folder:
        file = next((folder / "unet").glob("*.safetensors"))
        file.unlink()
        file.mkdir() if what == "folder" else file.symlink_to("nowhere")
        with pytest.raises(UserError, match="its part 'unet' has no weights"):
            fuzz_models.CHECKS["tiny"](str(folder))
