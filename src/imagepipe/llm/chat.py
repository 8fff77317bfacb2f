"""The request to a language model, as chat messages."""

from __future__ import annotations

import re

PLACEHOLDER = re.compile(r"\{(prompt|season)\}")


def messages(system: str, user: str, prompt: str, season: str) -> list[dict[str, str]]:
    """Chat messages (`role`, `content`) as every engine takes them; an empty `system` is left out.

    `{prompt}` and `{season}` in `user` are filled in one pass and nothing else is read as a
    placeholder, since prompts are people's text and may hold braces themselves.
    """
    values = {"prompt": prompt, "season": season}
    question = PLACEHOLDER.sub(lambda match: values[match[1]], user)
    asked = [{"role": "user", "content": question}]
    return [{"role": "system", "content": system}, *asked] if system else asked
