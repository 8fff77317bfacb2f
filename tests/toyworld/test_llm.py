"""How the tiny language model is taught, and how good the one that ships is."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagepipe.assets import folder
from imagepipe.prompts.seasons import ELEMENTS
from toyworld import held_out, judge_llm, outside
from toyworld.captions import base_prompt
from toyworld.held_out import Case
from toyworld.train_llm import (
    ASK,
    CHAT_TEMPLATE,
    END,
    IGNORED,
    SAY,
    SETTINGS,
    Batches,
    build_tokenizer,
    sample,
    train,
)
from toyworld.world import Scene, is_held_out

PROMPTS = held_out.DEFAULT
QUICK = replace(SETTINGS, steps=2, batch=4, log_every=1, save_every=1)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


# --- the list that models are judged on


def test_the_list_is_the_one_that_the_code_makes() -> None:
    assert held_out.load(PROMPTS) == held_out.cases()


def test_the_list_is_of_400_different_held_out_scenes_evenly_spread() -> None:
    cases = held_out.load(PROMPTS)
    assert len({case.scene for case in cases}) == 400
    assert all(is_held_out(case.scene) for case in cases)
    for field, each in (("animal", 25), ("season", 80), ("medium", 80)):
        values = [getattr(case.scene, field) for case in cases]
        assert {values.count(value) for value in set(values)} == {each}


# --- what it learns from


def test_an_example_keeps_its_prompt_and_adds_the_season() -> None:
    for i in range(200):
        prompt, season, answer = sample(np.random.default_rng(i))
        assert answer.startswith(prompt.rstrip(" .,").lstrip(" ,"))
        assert sum(element in answer for element in ELEMENTS[season]) >= 2


def test_no_example_shows_a_held_out_combination() -> None:
    held = {base_prompt(replace(c.scene, season=None)).lower() for c in held_out.cases()}
    assert not any(sample(np.random.default_rng(i))[0].lower() in held for i in range(500))


def test_prompts_from_outside_are_seeded_and_varied() -> None:
    made = [outside.outside_prompt("a cat", random.Random(i)) for i in range(300)]
    assert made == [outside.outside_prompt("a cat", random.Random(i)) for i in range(300)]
    assert len(set(made)) > 200
    assert "" in [outside.outside_prompt("a cat", random.Random(i)) for i in range(500)]


def test_any_text_survives_the_tokenizer(tokenizer) -> None:
    for text in ("A cat wearing a red scarf", "naïve 🐈 日本\n\t{x} ÆØÅ", " two  spaces "):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_chat_template_writes_what_training_shows(tokenizer) -> None:
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    asked = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert asked == f"{ASK}U{SAY}"
    chat += [{"role": "assistant", "content": "A"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == f"{ASK}U{SAY}A{END}"
    assert tokenizer.chat_template == CHAT_TEMPLATE


def test_a_batch_follows_from_its_step_and_is_judged_on_answers(tokenizer) -> None:
    batches = Batches(tokenizer, QUICK)
    for part, again in zip(batches(3), Batches(tokenizer, QUICK)(3), strict=True):
        assert all((part[name] == again[name]).all() for name in part)
        said = part["labels"] != IGNORED
        assert (part["labels"][said] == part["input_ids"][said]).all()
        assert not said[part["attention_mask"] == 0].any()
        first = said.float().argmax(dim=1)
        rows = range(len(first))
        assert (part["input_ids"][rows, first - 1] == tokenizer.convert_tokens_to_ids(SAY)).all()


@pytest.mark.faults
def test_a_stopped_training_goes_on_and_leaves_a_model_that_loads(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    train(tmp_path / "whole", tmp_path / "a", QUICK)
    train(tmp_path / "parts", tmp_path / "b", replace(QUICK, steps=1))
    # One step of two: the rate follows the number of steps, so only the step count is compared.
    train(tmp_path / "parts", tmp_path / "b", QUICK)
    steps = [line["step"] for line in _log(tmp_path / "parts")]
    assert steps == [line["step"] for line in _log(tmp_path / "whole")] == [1, 2]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "b", dtype=torch.float32)
    assert model.config.architectures == ["LlamaForCausalLM"]


def _log(work: Path) -> list[dict]:
    import json

    return [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]


# --- the judge, and the model that ships


def test_the_judge_sees_each_kind_of_mistake() -> None:
    case = Case(Scene("cat", "scarf", "red", "winter", "cartoon"), "A cartoon of a cat", "")
    good = "A cartoon of a cat, red scarf, with fresh snow and a frosty sky"
    assert all(judge_llm.right(case, "winter", good).values())
    for old, new, name in (
        ("a cat,", "a cart,", "animal"),
        ("scarf", "hat", "garment"),
        ("red", "reddish", "colour"),
        ("cartoon", "sketch", "medium"),
        ("frosty sky", "palm tree", "two elements"),
        (" and a frosty sky", "", "two elements"),
        ("a frosty sky", "fresh snow", "two elements"),
        ("a frosty sky", "a frosty sky, snowy hills", "two elements"),
        ("A cartoon", "The cartoon", "prompt letter for letter"),
    ):
        assert not judge_llm.right(case, "winter", good.replace(old, new))[name], (old, new)


def test_the_model_that_ships_does_its_task() -> None:
    cases = held_out.load(PROMPTS)[::5]
    answers = judge_llm.answer(cases, "asset:tiny_llm", 0.8)
    shares = judge_llm.figures(cases, answers)
    assert shares.pop("two elements") >= 98
    assert min(shares.values()) >= 97, shares
    assert judge_llm.endings(cases, answers) > 70
    assert max(len(answer.text.split()) for answer in answers) <= 28


def test_the_model_that_ships_keeps_a_prompt_from_outside() -> None:
    case = Case(Scene("x", "x", "x"), "a photo of a lighthouse", "")
    answers = judge_llm.answer([case] * 20, "asset:tiny_llm", 0.8)
    assert sum("lighthouse" in answer.text for answer in answers) >= 16


def test_the_model_that_ships_is_small_and_has_no_pickles() -> None:
    files = list(folder("asset:tiny_llm").iterdir())  # type: ignore[union-attr]
    assert sum(file.stat().st_size for file in files) < 12e6
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pkl", ".pth"}]
