"""Files of models that are there, and are not what the libraries expect: told before the run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers import fuzz_models

from imagepipe import scoring
from imagepipe.config import LLM, Model, Scorer
from imagepipe.diffusion import model_index, repository, vocabulary
from imagepipe.errors import UserError
from imagepipe.llm.questions import Questions


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
        pytest.param("tiny", "model_index.json", {"vae": None}, id="part-null"),
        pytest.param("tiny", "model_index.json", {"scheduler": 3}, id="part-number"),
        pytest.param("tiny", "model_index.json", {"image_encoder": None}, id="left-out-by-null"),
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


@pytest.mark.parametrize(
    ("size", "made"),
    [
        ({"height": 64, "width": 64}, "64x64"),
        ({"height": 128, "width": 96}, "96x128"),
        ({}, "224x224"),
    ],
    ids=["smaller", "not-square", "default"],
)
def test_a_processor_of_another_models_size(size: dict[str, int], made: str) -> None:
    with fuzz_models.copy("tiny_clip") as folder:
        file = folder / "processor_config.json"
        said = json.loads(file.read_text())
        named = {"size": size, "crop_size": size}
        said["image_processor"] = said["image_processor"] | named if size else {}
        file.unlink()
        file.write_text(json.dumps(said))
        said = f"its processor makes pictures of {made} pixels, and the model takes 128x128"
        with pytest.raises(UserError, match=said):
            fuzz_models.CHECKS["tiny_clip"](str(folder))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "\udcff", '{"garment": []}', '{"garment": {"hat": 3}}', '{"garment": {}}'],
    ids=["empty", "list", "bytes", "no-answers", "number", "none"],
)
def test_questions_of_a_judge(content: str) -> None:
    with fuzz_models.copy("tiny_clip") as folder:
        (folder / "questions.json").unlink()
        (folder / "questions.json").write_bytes(content.encode("utf-8", "surrogateescape"))
        path = str(folder)
        fuzz_models.CHECKS["tiny_clip"](path)  # which asks none
        asked = {"garment": "{outfit}"}
        judge = Scorer(name="t", engine="attributes", path=path, questions=asked)
        with pytest.raises(UserError, match=r"^scorer\.path=.*questions\.json is broken \("):
            scoring.check(judge)


def test_lists_of_an_index_that_are_no_part() -> None:
    with fuzz_models.copy("tiny") as folder:
        file = folder / "model_index.json"
        index = json.loads(file.read_text())
        more = {
            "safety_checker": [None, None],
            "levels": [1, 0.5],
            "boundary": None,
            "_more": ["a"],
        }
        file.unlink()
        file.write_text(json.dumps(index | more))
        assert set(model_index.parts(repository.read(folder).index)) == set(
            model_index.parts(index)
        )


@pytest.mark.parametrize("what", ["folder", "link"])
@pytest.mark.parametrize(
    ("kind", "part", "said"),
    [
        ("tiny", "unet", "its part 'unet' has no weights"),
        ("tiny_llm", "", r"its weights are incomplete \(.* does not exist\)"),
        ("tiny_clip", "", r"its weights are incomplete \(.* does not exist\)"),
    ],
    ids=["model", "llm", "scorer"],
)
def test_weights_that_are_no_file_are_none(kind: str, part: str, said: str, what: str) -> None:
    with fuzz_models.copy(kind) as folder:
        file = next((folder / part).glob("*.safetensors"))
        file.unlink()
        file.mkdir() if what == "folder" else file.symlink_to("nowhere")
        with pytest.raises(UserError, match=said):
            fuzz_models.CHECKS[kind](str(folder))


@pytest.mark.parametrize(
    ("named", "padding"),
    [
        pytest.param({"eos_token_id": 4}, 4, id="of-the-configuration"),
        pytest.param({"eos_token_id": [7, 4]}, 4, id="one-of-several"),
        pytest.param({"eos_token_id": None}, None, id="none"),
    ],
)
def test_a_tokenizer_without_a_token_to_fill_up_with(
    named: dict[str, Any], padding: int | None
) -> None:
    with fuzz_models.copy("tiny_llm") as folder:
        (folder / "tokenizer_config.json").unlink()
        (folder / "generation_config.json").unlink()
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").unlink()
        config = {k: v for k, v in config.items() if not k.endswith("token_id")} | named
        (folder / "config.json").write_text(json.dumps(config))
        asked = LLM(name="t", engine="transformers", path=str(folder))
        if padding is None:
            with pytest.raises(UserError, match="nothing in it says which token ends an answer"):
                Questions(asked)
        else:
            assert Questions(asked).tokenizer.pad_token_id == padding


def test_words_that_are_no_text() -> None:
    with fuzz_models.copy("tiny") as folder:
        (folder / "words.txt").unlink()
        (folder / "words.txt").write_bytes(b"cat\n\xff")
        with pytest.raises(UserError, match=r"words\.txt cannot be used \(UnicodeDecodeError"):
            vocabulary.of(Model(name="t", engine="diffusers", path=str(folder)))
