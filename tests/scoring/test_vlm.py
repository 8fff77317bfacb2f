"""Judges that read a yes or a caption: a real vision-language model at a tiny size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers import tiny_vlm

from imagepipe.assets import folder
from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.scoring import SCORER_ERROR, check, make
from imagepipe.scoring.questions import NEITHER, judged, word

QUESTIONS = {
    "shows": "does this picture show {base_prompt} ?",
    "is_red": "does this picture show a red {animal} ?",
}
ROWS = pa.table({"base_prompt": ["a cat", "a red dog", "a"], "animal": ["cat", "dog", "cat"]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vlm.save(tmp_path_factory.mktemp("vlm"))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, 48, 64, 3), np.uint8)


def scorer(engine: str, model: object, **changes: object) -> Scorer:
    return Scorer("mine", engine, str(model), questions=dict(QUESTIONS), **changes)


def judging(asked: Scorer):
    judge = make(asked)
    judge.load()
    return judge


def test_the_probability_is_that_of_the_tokens_that_say_yes(model: Path, images: np.ndarray):
    """By the model itself, of one picture and question, without padding and generation."""
    import torch
    from PIL import Image
    from transformers import AutoProcessor, Idefics3ForConditionalGeneration

    processor = AutoProcessor.from_pretrained(model)
    text = (
        "<|im_start|>User:<image>does this picture show a red dog ?<end_of_utterance>\nAssistant:"
    )
    inputs = processor(text=[text], images=[[Image.fromarray(images[1])]], return_tensors="pt")
    with torch.no_grad():
        logits = Idefics3ForConditionalGeneration.from_pretrained(model)(**inputs).logits[0, -1]
    tokens = processor.tokenizer.convert_tokens_to_ids(["yes", "Yes"])
    said = judging(scorer("vlm", model)).judge(images, ROWS)
    assert said["shows"][1] == pytest.approx(logits.softmax(0)[tokens].sum().item(), rel=1e-3)


def test_each_question_is_a_column_and_no_answer_depends_on_the_batch(
    model: Path, images: np.ndarray
):
    judge = judging(scorer("vlm", model))
    assert judge.reads == ("base_prompt", "animal")
    assert judge.adds == pa.schema([("shows", pa.float32()), ("is_red", pa.float32())])
    together = judge.judge(images, ROWS)
    alone = [judge.judge(images[i : i + 1], ROWS.slice(i, 1)) for i in range(3)]
    for name in QUESTIONS:
        assert together[name] == pytest.approx([one[name][0] for one in alone], rel=1e-3)
        assert len(set(together[name])) == 3
    assert together[SCORER_ERROR] == [None] * 3


def test_a_question_over_an_empty_cell_is_not_asked(model: Path, images: np.ndarray):
    rows = pa.table({"base_prompt": ["a cat"] * 3, "animal": ["cat", None, "  "]})
    said = judging(scorer("vlm", model)).judge(images, rows)
    assert None not in said["shows"]
    assert [value is None for value in said["is_red"]] == [False, True, True]
    assert said[SCORER_ERROR] == [None, *["is_red: column 'animal' is empty"] * 2]


def test_a_judge_that_says_neither_gives_no_score(tmp_path: Path, images: np.ndarray):
    mute = tiny_vlm.save(tmp_path, words=tuple(w for w in tiny_vlm.WORDS if word(w) != "yes"))
    tokens = len(tiny_vlm.WORDS)
    silent = tiny_vlm.save(tmp_path / "silent", words=tuple(f"w{i}" for i in range(tokens)))
    assert set(judging(scorer("vlm", mute)).judge(images, ROWS)["shows"]) == {0.0}
    said = judging(scorer("vlm", silent)).judge(images, ROWS)
    assert said["shows"] == said["is_red"] == [None] * 3
    assert said[SCORER_ERROR] == [f"shows: {NEITHER}"] * 3


@pytest.mark.parametrize(
    ("yes", "no", "value"),
    [(0.6, 0.3, 0.6), (0.0, 0.02, 0.0), (0.011, 0.0, 0.011), (0.004, 0.005, None), (0, 0, None)],
)
def test_little_of_both_is_no_answer(yes: float, no: float, value: float | None):
    assert judged(yes, no) == (value, None if value is not None else NEITHER)


def test_a_word_is_known_in_every_spelling():
    assert [word(text) for text in (" Yes", "yes,", "▁YES", "Ġyes", "yesterday", "1")] == [
        *["yes"] * 3, "ġyes", "yesterday", "",
    ]  # fmt: skip


def test_a_caption_is_a_column_of_text(model: Path, images: np.ndarray):
    asked = replace(scorer("caption", model), questions={"caption": "show a cat"}, max_tokens=3)
    judge = judging(asked)
    assert judge.adds == pa.schema([("caption", pa.string())])
    said = judge.judge(images, ROWS)
    assert all(0 < len(text.split()) <= 3 for text in said["caption"])
    assert said["caption"] == judge.judge(images, ROWS)["caption"]


# --- what is refused


def complaint(asked: Scorer) -> str:
    with pytest.raises(UserError) as caught:
        check(asked)
    return str(caught.value)


def test_a_whole_model_passes(model: Path):
    check(scorer("vlm", model))


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ({}, "scorer.questions={}: scorer.engine=vlm needs at least one"),
        ({"a": "is this {x"}, "scorer.questions.a=is this {x: has an unmatched brace"),
        ({"a": ""}, "scorer.questions.a=: is empty"),
    ],
    ids=["none", "brace", "blank"],
)
def test_bad_questions_are_refused(questions: dict[str, str], said: str, model: Path):
    assert said in complaint(replace(scorer("vlm", model), questions=questions))


def test_what_is_no_such_model_is_refused(model: Path, tmp_path: Path):
    asked = scorer("vlm", folder("asset:tiny_clip"))
    assert "its config.json says clip, which is not a model that answers" in complaint(asked)
    for file in model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").unlink()
    assert "it has no chat template" in complaint(scorer("vlm", tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "of Idefics3ForConditionalGeneration, such as model.text" in complaint(
        scorer("vlm", tmp_path)
    )


def test_a_processor_that_needs_what_is_not_there_is_told(model: Path, tmp_path: Path):
    """Qwen's takes videos too, for which transformers wants torchvision."""
    from importlib.util import find_spec

    if find_spec("torchvision"):
        pytest.skip("torchvision is installed")
    for file in model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    named = json.loads((tmp_path / "processor_config.json").read_text())
    named["processor_class"] = "Qwen2_5_VLProcessor"
    named["video_processor"] = {"video_processor_type": "Qwen2VLVideoProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(named))
    said = complaint(scorer("vlm", tmp_path))
    assert "its processor cannot be made here" in said and "scorer=vlm_server" in said
