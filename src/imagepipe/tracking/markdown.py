"""Escapes plain text for MLflow's notes."""

from __future__ import annotations


def markdown(text: str, limit: int) -> str:
    """Plain text as Markdown that shows it as it is: prompts in it are untrusted."""
    escaped, length = [], 0
    for character in text:
        part = _escape(character)
        length += len(part)
        if length >= limit:
            escaped.append("…")
            break
        escaped.append(part)
    return "".join(escaped)


def _escape(character: str) -> str:
    named = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": "  \n", "\0": "�"}
    if character in named:
        return named[character]
    if character in ":@$^\"'/":  # MLflow's page would show a backslash before them
        return f"&#{ord(character)};"
    return f"\\{character}" if character in "\\`*_{}[]()#+-.!|~=" else character
