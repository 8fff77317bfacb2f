"""The description in an answer that is JSON, as models give it that know of tools."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from imagepipe.llm.preambles import KIND, NOUN

CALLED = ("arguments", "parameters", "input", "args")  # with what a tool is called


def answer(text: str, base_prompt: str) -> str:
    """The one text of a value in JSON or Python, or the one that is called like an answer."""
    if text[:1] not in ("{", "[", '"'):
        return text
    try:
        value = json.loads(text) if '"' in text else ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return text
    value = _unwrapped(value)
    if isinstance(value, dict):
        texts = {str(key): said for key, said in value.items() if isinstance(said, str)}
        named = [said for key, said in texts.items() if _is_answer(key)]
        value = next(iter(named or (texts.values() if len(texts) == 1 else ())), None)
    return value if isinstance(value, str) else text


def _unwrapped(value: Any) -> Any:
    """What stands alone in lists and objects, or is a tool's: an object of texts, or a text."""
    for _ in range(8):
        if isinstance(value, dict) and "error" not in value:
            tool = [value[key] for key in CALLED if isinstance(value.get(key), dict)]
            inner = tool[:1] or [one for one in value.values() if len(value) == 1]
            inner = [one for one in inner if not isinstance(one, str)]
        else:
            inner = value if isinstance(value, list) else []
        if len(inner) != 1:
            break
        value = inner[0]
    return value


def _is_answer(key: str) -> bool:
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", key)
    return re.fullmatch(rf"{KIND}(?:{NOUN}|content)", plain, re.IGNORECASE) is not None
