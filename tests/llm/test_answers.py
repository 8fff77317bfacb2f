"""Answers that are not worth drawing are told from those that are."""

from __future__ import annotations

import pytest

from imagepipe.llm import Answer
from imagepipe.llm.answers import FALLBACKS, Asked, Limit, clean, repeats

BASE = "A cat wearing a red scarf"


class Words:
    """A limit of 40 words."""

    def cuts(self, prompt: str) -> bool:
        return len(prompt.split()) > 40


def fallback(answer: str, base: str, limit: Limit) -> str | None:
    return clean(Answer(answer), Asked(base), limit).fallback


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("A cat wearing a red scarf, with falling snow and a frosted pine", None),
        ("I can see a cat in a red scarf amid snow", None),
        ("A poster that says: I'm sorry, I can't come to the phone", None),
        ("A very, very, very long cat in a red scarf", None),
        ("A cat with 1000000000 flakes... and more... and more", None),
        ("", "empty"),
        (" \n\t", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, but I can’t help with that.", "refusal"),
        ("Sorry, I cannot describe this.", "refusal"),
        ("I am unable to enrich this prompt.", "refusal"),
        ("**As an AI** language model, I have no pictures.", "refusal"),
        ("Unfortunately, I can not do that", "refusal"),
        ("!!!!!!!!!!!!!!!!", "repetition"),
        ("A cat, snow, snow, snow, snow", "repetition"),
        ("A cat, a red scarf, a red scarf, a red scarf", "repetition"),
        ("A cat in the snow. " * 3, "repetition"),
        (" ".join(f"word{i}" for i in range(41)), "too_long"),
    ],
)
def test_what_is_drawn_instead_of_the_base_prompt(answer: str, why: str | None) -> None:
    assert fallback(answer, BASE, Words()) == why
    assert why is None or why in FALLBACKS


def test_a_base_prompt_that_repeats_itself_is_not_the_answers_fault() -> None:
    base = "a lion, a lion, a lion"
    assert fallback(f"{base}, in the snow", base, Words()) is None


def test_a_loop_of_any_length_is_found_wherever_it_starts() -> None:
    for length in range(1, 25):
        phrase = " ".join(f"w{i}" for i in range(length))
        assert repeats(f"A cat {' '.join([phrase] * 4)} end"), length
        assert not repeats(f"A cat {' '.join([phrase] * 2)} end"), length
