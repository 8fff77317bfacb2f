"""Model cards: `card.json` (facts, merged section by section) and the `README.md` made from it.

Each program adds what it knows (`update_card(folder, figures={...})`), and the README is written
anew each time, with the digests of the weight files as they stand. `check_digests` compares.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from imagepipe.errors import UserError

_DIGEST_ROW = re.compile(r"^\| `([^`]+)` \| \d+ \| `([0-9a-f]{64})` \|$", re.M)


def replace_text(path: Path, text: str) -> None:
    """Writes a text file atomically, readable for all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    os.replace(temporary, path)


def update_card(folder: Path, **sections: Any) -> None:
    """Merges `sections` into the card of the model in `folder` and writes both files anew.

    Sections, all optional, the later call wins (dictionaries are merged one level deep):
    `title`, `summary`: str; `commands`: {label: shell command}; `trainings`: {name:
    `Trainer.facts()`}; `figures`: {name: value}; `limits`: [str].
    """
    path = folder / "card.json"
    card: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name, value in sections.items():
        old = card.get(name)
        card[name] = {**old, **value} if isinstance(old, dict) else value
    replace_text(path, json.dumps(card, indent=1) + "\n")
    replace_text(folder / "README.md", _render(card, digests(folder)))


def digests(folder: Path) -> dict[str, tuple[int, str]]:
    """{relative path: (bytes, sha256)} of all safetensors files under `folder`."""
    files = sorted(folder.rglob("*.safetensors"))
    return {
        f.relative_to(folder).as_posix(): (
            f.stat().st_size,
            hashlib.sha256(f.read_bytes()).hexdigest(),
        )
        for f in files
    }


def weights_of(folder: Path | None, *parts: str) -> str | None:
    """In words, the weights that `folder` (or these `parts` of it) holds now, by the start of their
    digests.
    """
    if folder is None:
        return None
    found = ", ".join(
        f"{name} {digest[:12]}"
        for name, (_, digest) in digests(folder).items()
        if not parts or name.split("/")[0] in parts
    )
    return f"the weights of an earlier training ({found})"


def check_digests(folder: Path) -> None:
    """Raises UserError when the weights in `folder` are not those its README tells of."""
    told = dict(_DIGEST_ROW.findall((folder / "README.md").read_text()))
    found = {name: digest for name, (_, digest) in digests(folder).items()}
    if told != found:
        differing = sorted(n for n in told.keys() | found.keys() if told.get(n) != found.get(n))
        raise UserError(
            field="weights",
            value=str(folder),
            problem=f"differ from the digests in README.md: {', '.join(differing)}",
            remedy="restore the files, or write the card anew if the weights were meant to change",
        )


def _render(card: dict[str, Any], weights: dict[str, tuple[int, str]]) -> str:
    parts = [
        "---\nlicense: apache-2.0\n---",
        f"# {card.get('title', 'model')}",
        card.get("summary", ""),
        _table("Figures", ("figure", "value"), card.get("figures", {}).items()),
        _commands(card.get("commands", {})),
        *(_training(name, facts) for name, facts in card.get("trainings", {}).items()),
        _list("Limits", card.get("limits", [])),
        _table(
            "Weights",
            ("file", "bytes", "sha256"),
            ((f"`{name}`", size, f"`{digest}`") for name, (size, digest) in weights.items()),
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(heading: str, columns: tuple[str, ...], rows: Any) -> str:
    body = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    if not body:
        return ""
    head = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([f"## {heading}", "", *head, *body])


def _list(heading: str, items: list[str]) -> str:
    return "\n".join([f"## {heading}", "", *(f"- {item}" for item in items)]) if items else ""


def _commands(commands: dict[str, str]) -> str:
    if not commands:
        return ""
    lines = [f"- {label}: `{command}`" for label, command in commands.items()]
    return "\n".join(["## Commands", "", *lines])


def _training(name: str, facts: dict[str, Any]) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in facts["settings"].items())
    text = (
        f"{facts['parameters']:,} parameters, {facts['steps_done']} steps in {facts['minutes']} "
        f"minutes on {facts['hardware']}, torch {facts['torch']}.\n\nSettings: {settings}."
    )
    if facts.get("began_with"):
        text += f"\n\nBegan with {facts['began_with']}."
    if facts.get("resumed"):  # absent from the facts of a training that ended before it was noted
        text += f"\n\nResumed with other settings: {'; '.join(facts['resumed'])}."
    curve = facts["curve"]
    if not curve:
        return f"## Training: {name}\n\n{text}"
    columns = tuple(curve[0])
    rows = ([line.get(column, "") for column in columns] for line in curve)
    return f"## Training: {name}\n\n{text}\n\n" + _table("x", columns, rows).split("\n", 2)[2]
