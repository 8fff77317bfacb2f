"""Reads a server's chat completion, also if it is only similar to OpenAI's."""

from __future__ import annotations

import json
import re
from typing import Any

from imagepipe.llm import Answer

DATA, DONE = "data:", "[DONE]"  # before each event of a stream, and its last one
STREAM = re.compile(r"\s*(?:data|event|id|retry)?:")  # also remarks, which keep a connection open
# Of a refused question: the codes of OpenAI, Azure and DashScope, and what DeepSeek says.
FILTERED = re.compile(
    r"content_(?:filter|policy_violation)|ResponsibleAIPolicyViolation|moderation_blocked|"
    r"data_inspection_failed|content exists risk",
    re.IGNORECASE,
)


def filtered(body: str) -> Answer | None:
    """The answer to a question that the server refused for what stands in it; null if it was for
    another reason.
    """
    return Answer("", finish_reason="content_filter") if FILTERED.search(body) else None


def read(text: str) -> Answer:
    """The answer in a chat completion. Raises ValueError if `text` is none, with its beginning.

    Some servers put an error into a reply that says 200, and some send each answer in pieces.
    """
    try:
        completion = _parsed(text.lstrip("\ufeff"))
        choice = completion["choices"][0]
        if choice.get("error"):
            raise LookupError
        return _answer(choice, completion.get("usage"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        said = text.strip() or "nothing at all"
        raise ValueError(f"the server's answer is not a chat completion: {said}") from None


def _parsed(text: str) -> Any:
    """The completion; of a stream of events (`data: {...}`) what its pieces make together."""
    if not STREAM.match(text):
        return json.loads(text)
    lines = (line for line in text.splitlines() if line.startswith(DATA))
    events = [line.removeprefix(DATA).strip() for line in lines]
    message: dict[str, str] = {}
    told: dict[str, Any] = {}
    for piece in (json.loads(event) for event in events if event != DONE):
        told["usage"] = piece.get("usage") or told.get("usage")
        for choice in piece["choices"]:
            told["finish_reason"] = choice.get("finish_reason") or told.get("finish_reason")
            for name, said in choice["delta"].items():
                message[name] = message.get(name, "") + (_text(said) or "")
    ended = told["finish_reason"] or (None if DONE in events else "incomplete")
    whole = {"message": message, "finish_reason": ended}
    return {"choices": [whole], "usage": told["usage"]}


def _answer(choice: dict[str, Any], usage: Any) -> Answer:
    message, counts = choice["message"], usage if isinstance(usage, dict) else {}
    content = message.get("content")
    return Answer(
        words(content).strip(),
        counts.get("prompt_tokens"),
        counts.get("completion_tokens"),
        finish_reason=_text(choice.get("finish_reason")),
        refusal=_text(message.get("refusal")) or words(content, "refusal") or None,
        # vLLM, DeepSeek and llama.cpp; OpenRouter, Groq and newer vLLM; a list of parts: Mistral
        reasoning=_text(message.get("reasoning_content"))
        or _text(message.get("reasoning"))
        or words(content, "thinking")
        or None,
    )


def words(content: Any, kind: str = "text") -> str:
    """The text of a message's content, which may be parts, or one; of the parts of `kind`."""
    if isinstance(content, str):
        return content if kind == "text" else ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return ""
    return "".join(_part(part, kind) for part in content)


def _part(part: Any, kind: str) -> str:
    if isinstance(part, str):
        return part if kind == "text" else ""
    if not isinstance(part, dict) or part.get("type", "text") not in (kind, f"output_{kind}"):
        return ""
    held = part.get(kind)
    return words(held) if isinstance(held, list) else _text(held) or ""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
