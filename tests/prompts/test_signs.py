"""Signs of other tools in a prompt, and columns that choose nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.written import batch, writer

from imagepipe.prompts.signs import SIGNS, signs, unread, way
from imagepipe.sink.ledger import Ledger


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a cat wearing a (red:1.4) hat", ["(word:1.4)"]),
        ("a (very old, worn : .8) hat", ["(word:1.4)"]),
        ("a ((red)) hat", ["((word))"]),
        ("a (red hat)1.3, (blue)++", ["(word)1.3"]),
        ("a [red] hat", ["[word]"]),
        ("<lora:mine:0.8> a cat", ["<lora:name:1>"]),
        ("<lyco:mine> <hypernet:x:1>", ["<lora:name:1>"]),
        ("a <my-cat> in a hat", ["<token>"]),
        ("a cat, embedding:EasyNegative", ["embedding:name"]),
        ("__animal__ in __clothes/hats__", ["__name__"]),
        ("a {cat|dog}", ["{a|b}"]),
        ("a cat BREAK a hat", ["BREAK"]),
        ("a cat AND a dog", ["AND"]),
        (r"hatsune miku \(cosplay\), snow", [r"\(word\)"]),
        ("a cat::2 a dog::-.5", ["word::2"]),
        ("a cat in a hat --ar 16:9 --v 6", ["--ar 16:9"]),
        ("a cat --no hats", ["--ar 16:9"]),
        ("(a:1.1) and [b]", ["(word:1.4)", "[word]"]),
        ("一只（红色：1.4）的猫", ["(word:1.4)"]),
        ("a fluffy++ cat", ["word++"]),
        ("a {{fluffy}} cat in {{ place }}", ["{{word}}"]),
        ("a cat <segment:face,0.6> <break>", ["<name:value>", "<token>"]),
        ("a cat —ar 16:9", ["--ar 16:9"]),
        ("a cat --w 512 --sref https://host/a.png", ["--ar 16:9"]),
        ("/imagine prompt: a cat", ["/imagine"]),
        ("a cat wearing nan", ["nan"]),
        ("a <NA> cat with #REF!", ["nan"]),
        ("a cat\nNegative prompt: blurry", ["Negative prompt: word"]),
        ("a cat\nSteps: 20, Sampler: Euler a, Seed: 1", ["Steps: 20, Sampler: word"]),
    ],
)
def test_signs_of_other_tools(prompt: str, found: list[str]):
    assert signs(prompt) == found
    assert all(way(sign) for sign in found)


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat (old) in a hat, at 10:30 (16:9)",
        "a cat and a dog; a break; BREAKFAST in snake_case__name",
        "A CAT AND A DOG",
        "3 < 4 and 5 > 4, {braces}, C++ <3",
        "none of the cats, nano, Nan Goldin, a null space, #1",
        "a cat — no longer young — up 3 steps: one, two; a negative of a film",
        "un chat, 猫 (帽子)",
        r"a cat -- in snow --, std::vector, C:\hats, a--s",
    ],
)
def test_plain_text_is_none(prompt: str):
    assert signs(prompt) == []


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a <my-cat> in a hat", []),
        ("a <My-Cat> in a hat", []),
        ("a <my-cats> in a hat", ["<token>"]),
        ("a <my-cat> and a <dog>", ["<token>"]),
        ("a (<my-cat>:1.4)", ["(word:1.4)"]),
        ("a [V*] cat", []),
    ],
)
def test_the_words_of_textual_inversions_are_words(prompt: str, found: list[str]):
    assert signs(prompt, ["<my-cat>", "[V*]"]) == found


def test_every_example_is_found_by_itself():
    assert all(sign in signs(f"a {sign} b") for sign in SIGNS)


def test_they_are_counted_over_a_run(tmp_path: Path):
    ledger = Ledger(rows_read=2)
    rows = batch(["a", "b"])
    place = rows.schema.get_field_index("prompt")
    prompts = ["a (red:1.2) (old:2) cat", "(red:1.2) <lora:x:1>"]
    ledger.add(writer(tmp_path)(rows.set_column(place, "prompt", [prompts])))
    assert ledger.prompt_signs == {"(word:1.4)": 2, "<lora:name:1>": 1}


def test_the_words_of_textual_inversions_are_counted(tmp_path: Path):
    ledger = Ledger(rows_read=3)
    ledger.inversion_words.update({"<my-cat>": 0, "<old>": 0})
    rows = batch(["a", "b", "c"])
    place = rows.schema.get_field_index("prompt")
    rows = rows.set_column(place, "prompt", [["a <my-cat>", "<MY-CAT>, a <dog>", "a cat"]])
    ledger.add(replace(writer(tmp_path), words=("<my-cat>", "<old>"))(rows))
    assert ledger.inversion_words == {"<my-cat>": 2, "<old>": 0}
    assert ledger.prompt_signs == {"<token>": 1}


def test_columns_that_choose_nothing():
    columns = ["id", "animal", "seed", "Steps", "negative_prompt", "width"]
    assert unread(columns, {"id", "animal", "width"}) == {
        "seed": "seed",
        "Steps": "model.steps",
        "negative_prompt": "model.negative_prompt",
    }
    asked = ["Negative Prompt", " CFG", "sampling-steps", "Sampler name"]
    keys = ["model.negative_prompt", "model.guidance", "model.steps", "model.scheduler"]
    assert list(unread(asked, set()).values()) == keys
    assert unread(["seed"], {"seed"}) == {}
    civitai = ["negativePrompt", "cfgScale", "clipSkip", "aspectRatio", "numInferenceSteps", "size"]
    assert unread(civitai, set()) == {
        "negativePrompt": "model.negative_prompt",
        "cfgScale": "model.guidance",
        "clipSkip": "model.call_kwargs.clip_skip",
        "aspectRatio": "model.width and model.height",
        "numInferenceSteps": "model.steps",
    }
