"""From a language model's answer to the prompt that is drawn: its description, or the base prompt.

`clean` reads the answers of every engine. It removes what is around a description. An answer
without one falls back to the base prompt, with a reason. What the base prompt itself contains is
never held against the answer.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from imagepipe.llm import remarks, wrappers
from imagepipe.llm.phrases import NOTHING, QUESTION, REFUSAL, SELF, THOUGHTS, UNABLE, opens

if TYPE_CHECKING:
    from imagepipe.llm import Answer

# Why an answer is not drawn.
FALLBACKS = (
    "empty",
    "thinking",  # it thinks aloud, or its thoughts have used up llm.max_tokens
    "cut",  # llm.max_tokens ended it before its first sentence did
    "filtered",  # by the server, which left it unfinished
    "refusal",  # or the model speaks of itself, or a server of its trouble
    "question",  # the model asks instead of answering
    "echo",  # of the question or of the system prompt
    "list",  # several options, points or data
    "repetition",
    "too_long",  # for the text encoder that comes after
)
# What servers call the end of an answer that is none: OpenAI, Anthropic, Gemini, Mistral, Cohere,
# Bedrock, Zhipu, OpenRouter, vLLM.
CUT = (
    *("length", "max_tokens", "max_output_tokens", "model_length", "max_new_tokens", "max_length"),
    *("token_limit", "limit", "error_limit", "incomplete", "abort", "error", "network_error"),
)
FILTERED = (
    *("content_filter", "content_filtered", "safety", "recitation", "prohibited_content"),
    *("blocklist", "sensitive", "guardrail_intervened", "spii", "error_toxic"),
)

_THINK = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad)"
_FROM = rf"(?:seed:|begin_of_|start_of_)?{_THINK}"
_OPEN = re.compile(rf"<\|?{_FROM}\|?>|\[{_FROM}\]|◁{_FROM}▷|<unused94>", re.IGNORECASE)
_CLOSE = re.compile(
    rf"(?:</|<\|/|\[/|◁/|<\|end_of_)(?:seed:)?{_THINK}(?:\|?>|\]|▷)|<unused95>", re.IGNORECASE
)
# The channels of OpenAI's open models, with their tokens or as servers that drop those show them.
_FINAL = re.compile(r"<\|channel\|>\s*final[^<]*<\|message\|>|(?<=\S)assistant\s*final(?=\S)")
_ANALYSIS = re.compile(
    r"\s*(?:<\|start\|>assistant)?(?:<\|channel\|>\s*)?(?:analysis|commentary)(?=[<A-Z])"
)
# What ends a turn, or begins one, in the chat templates of the common models.
_TOKEN = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|</?s>|<(?:eos|bos|pad|unk|end_of_turn|start_of_turn"
    r"|end_of_utterance|turn\||\|turn|unused\d+|extra_id_\d+)>|\[/?INST\]|<</?SYS>>|\[(?:EOS|BOS)\]"
    r"|<\|?(?:im_end|im_start|endoftext|eot_id|end)\|?>?(?=\s|$)"
    r"|\[(?:END|STOP|DONE|/s)\]|<(?:end|stop|end_of_\w+)>|\b(?:im_end|eot_id|end_of_turn)\b"
    r"|(?<=[.!?\"”])\n?(?:assistant|model|user)(?=\n|\Z)|(?<=[.!?\"”])assistant(?=[A-Z])"
)
_ROLE = re.compile(r"(?:assistant|model)[ \t]*(?=\n|<)")
_FOLDED = re.compile(r"<details\b.*?(?:</details>|\Z)", re.DOTALL | re.IGNORECASE)  # Open WebUI's
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[\da-f]{1,6});", re.IGNORECASE)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)?")
# The last sign stands for a blank in the tokens of SentencePiece.
_BREAKS = str.maketrans(
    dict.fromkeys("\r\x0b\x0c\x85\u2028\u2029", "\n")
    | dict.fromkeys("\t\xa0\u2007\u2009\u202f\u2581", " ")
)
# Signs without a shape of their own, but for those that join letters or emoji.
_UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufffd]")
_ECHO_WORDS = 8  # in a row of the system prompt: no description has them by chance
LOOP_WORDS = 24  # the longest phrase whose repetition is looked for
SAME_SIGN = re.compile(r"([^\w\s])(\s?\1){7,}|(\w)\3{11,}")  # "!!!!!!!!" and "GGGGGGGGGGGG"


class Limit(Protocol):
    """What the text encoder that comes after takes; `imagepipe.diffusion.limits` has one."""

    def cuts(self, prompt: str) -> bool:
        """Whether the end of `prompt` would be lost."""


@dataclass(frozen=True)
class Asked:
    """What a row asked. `question` is `llm.user` with its values, `lead` what that begins with."""

    base_prompt: str
    question: str = "{prompt}"
    system: str = ""
    lead: str = ""


@dataclass(frozen=True)
class Cleaned:
    """What to draw; why it is the base prompt (one of FALLBACKS; null: it is the answer); and what
    the model said, null if it is drawn as it came.
    """

    prompt: str
    fallback: str | None = None
    answer: str | None = None


def clean(answer: Answer, asked: Asked, limit: Limit, stop: Sequence[str] = ()) -> Cleaned:
    """The description in `answer`, or the base prompt where it holds none that can be drawn.

    `stop` are texts that end an answer, for engines that do not end it there themselves.
    """
    said = storable(answer.refusal or answer.text or answer.reasoning or "").strip()
    prompt, why = _description(answer, asked, stop)
    why = why or _judged(prompt, said, asked, limit)
    if why:
        return Cleaned(asked.base_prompt, why, said)
    return Cleaned(prompt, None, None if prompt == said else said)


def _description(answer: Answer, asked: Asked, stop: Sequence[str]) -> tuple[str, str | None]:
    """The text without all that is around it, or why there is none."""
    finish = (answer.finish_reason or "").lower().partition(":")[0]  # "content_filter: SAFETY"
    if (answer.refusal or "").strip() or finish == "refusal":
        return "", "refusal"
    if finish in FILTERED:
        return "", "filtered"
    text = (answer.text or "").strip()
    behind = text.removeprefix(asked.question).strip()
    text = behind if behind and asked.question != asked.base_prompt else text
    base = asked.base_prompt.strip(" .,")
    if base and (arrow := re.match(re.escape(base) + r"[.,\"”']*\s*(?:[-=]>|[→⇒])\s*", text)):
        text = text[arrow.end() :]
    own = base if base and text.startswith(base) else ""  # nothing stands before, or is taken off
    text, thought = (text, False) if own else without_thoughts(text)
    if not text.strip() and (thought or (answer.reasoning or "").strip()):
        return "", "thinking"
    text, ended = _to_its_end(text, len(own), stop)
    text = own + readable(text[len(own) :])
    whole = text if own else wrappers.peel(text.strip(), asked.base_prompt)
    if not own and (wrappers.is_list(whole) or wrappers.CODE.match(text.strip())):
        return "", "list"
    part = remarks.first_part(whole, asked.base_prompt, len(own))
    part = part if own else wrappers.peel(part, asked.base_prompt)
    if finish in CUT and not ended and _is_tail(part, text):
        part = remarks.whole_sentences(part) or ""
        return part, None if part else "cut"
    return part, "list" if part.endswith((":", "：")) and not own else None


def _is_tail(part: str, text: str) -> bool:
    """Whether `text` has no word behind `part`."""
    return "".join(re.findall(r"\w", text)).endswith("".join(re.findall(r"\w", part)[-40:]))


def _judged(text: str, said: str, asked: Asked, limit: Limit) -> str | None:
    """Why `text`, of all that was `said`, is not to be drawn; null: it is."""
    base = asked.base_prompt
    apart = not remarks.shares(text, base)  # of another picture, in another language, or of none
    unable = UNABLE.search(text) is not None
    reasons: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("empty", lambda: not text.strip()),
        ("refusal", lambda: opens(REFUSAL, text, base)),
        ("thinking", lambda: opens(THOUGHTS, text, base)),
        ("question", lambda: opens(QUESTION, text, base) or (apart and text[-1] in "?？؟")),
        ("refusal", lambda: apart and (opens(SELF, text, base) or unable)),
        ("repetition", lambda: repeats(text) and not repeats(base)),
        ("empty", lambda: _says_nothing(text) or _says_little(text, base)),
        ("echo", lambda: echoes(text, said, asked)),
        ("too_long", lambda: limit.cuts(text)),
    )
    return next((why for why, holds in reasons if holds()), None)


def _says_nothing(text: str) -> bool:
    words = _words(text)
    shown = words or any(unicodedata.category(sign) == "So" for sign in text)  # such as emoji
    return not shown or (bool(words) and set(words) <= NOTHING)


def _says_little(text: str, base_prompt: str) -> bool:
    """Whether up to three English words name nothing of the base prompt: "Loading...", "42"."""
    known = set(_words(base_prompt))
    few = 0 < len(words := _words(text)) <= 3 and text.isascii() and base_prompt.isascii()
    return few and not any(word[:3] == own[:3] for word in words for own in known)


def storable(text: str) -> str:
    """`text` with a sign in the place of each half of a surrogate pair, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def readable(text: str) -> str:
    """`text` without control characters, terminal escapes, HTML's names of signs, and signs that
    are not seen.
    """
    text = storable(text).replace("\r\n", "\n").replace("<0x0A>", "\n")  # a byte as its token
    text = re.sub(r"(?:\\r)?\\n", "\n", text)  # as in a text of JSON
    text = _ESCAPES.sub("", text).translate(_BREAKS)
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    text = "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) != "Cc")
    return _UNSEEN.sub("", text)


def without_thoughts(text: str) -> tuple[str, bool]:
    """What stands behind a model's thoughts, "" where they never end; and whether there are any."""
    final = list(_FINAL.finditer(text)) if "<|channel|>" in text or _ANALYSIS.match(text) else []
    if final:
        return text[final[-1].end() :], True
    if _ANALYSIS.match(text):
        return "", True
    unfolded = _FOLDED.sub("", text)
    closed = list(_CLOSE.finditer(unfolded))
    rest = unfolded[closed[-1].end() :] if closed else unfolded
    opened = _OPEN.search(rest)
    thought = bool(closed or opened) or unfolded != text
    return (rest[: opened.start()] if opened else rest), thought


def _to_its_end(text: str, start: int, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first text of `stop` or token of a chat template behind `start`, and whether
    there is one. Tokens that the answer begins with are left out.
    """
    while not start and (found := _TOKEN.match(text.lstrip()) or _ROLE.match(text.lstrip())):
        text = text.lstrip()[found.end() :]
    found = _TOKEN.search(text, start)
    ends = [found.start()] if found else []
    ends += [at for at in (text.find(word, start) for word in stop if word) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def echoes(text: str, said: str, asked: Asked) -> bool:
    """Whether `text`, of all that was `said`, tells no more than the question, or repeats the
    system prompt.
    """
    words, base = _words(text), _words(asked.base_prompt)
    if words == base or words == _words(asked.question):
        return True
    lead, whole = _words(asked.lead), _words(said)
    if lead and whole[: len(lead)] == lead and set(whole) <= set(_words(asked.question)):
        return True
    system = _words(asked.system)
    length = min(_ECHO_WORDS, len(system))
    if length < 4:
        return False
    own = f" {' '.join(base)} "
    if len(words) >= 4 and f" {' '.join(words)} " in f" {' '.join(system)} ":
        return True
    runs = (" ".join(system[i : i + length]) for i in range(len(system) - length + 1))
    inside = f" {' '.join(words)} "
    return any(f" {run} " in inside and f" {run} " not in own for run in runs)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


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
