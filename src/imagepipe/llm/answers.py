"""When an answer is not worth drawing, so that the base prompt is drawn instead."""

from __future__ import annotations

import re
from typing import Protocol

FALLBACKS = ("empty", "refusal", "repetition", "too_long")

# How chat models open a refusal. Only the beginning counts: a prompt may well hold such words.
REFUSAL = re.compile(
    r"\W*(i'?m (very |so )?sorry|i am (very |so )?sorry|sorry, (but )?i|i can'?t|i cannot|i can not"
    r"|i'?m (unable|not able)|i am (unable|not able)|i won'?t|as an ai\b|unfortunately, i)\b",
    re.IGNORECASE,
)
LOOP_WORDS = 24  # the longest phrase whose repetition is looked for
SAME_SIGN = re.compile(r"([^\w\s])(\s?\1){7,}")  # "!!!!!!!!"


class Limit(Protocol):
    """What the text encoder that comes after takes; `imagepipe.diffusion.limits` has one."""

    def cuts(self, prompt: str) -> bool:
        """Whether the end of `prompt` would be lost."""


def fallback(answer: str, base_prompt: str, limit: Limit) -> str | None:
    """Why `answer` cannot replace `base_prompt`, as one of FALLBACKS; null: it can."""
    if not answer.strip():
        return "empty"
    if REFUSAL.match(answer.replace("’", "'")):
        return "refusal"
    if repeats(answer) and not repeats(base_prompt):
        return "repetition"
    return "too_long" if limit.cuts(answer) else None


def repeats(text: str) -> bool:
    """Whether `text` is stuck: a phrase three times in a row, a word four times, a sign eight.

    Three times a word ("very, very, very big") is still style.
    """
    if SAME_SIGN.search(text):
        return True
    words = re.findall(r"\w+", text.lower())
    return any(
        _follows_itself(words, length) for length in range(1, min(LOOP_WORDS, len(words) // 3) + 1)
    )


def _follows_itself(words: list[str], length: int) -> bool:
    """Whether a phrase of `length` words follows itself at least twice."""
    wanted = length * (3 if length == 1 else 2)
    run = 0
    for before, word in zip(words, words[length:], strict=False):
        run = run + 1 if before == word else 0
        if run >= wanted:
            return True
    return False
