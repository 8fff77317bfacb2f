"""Writes docs/messages.md, and tells which messages no test names.

`PYTHONPATH=tests python -m helpers.messages` prints those.
"""

from __future__ import annotations

import ast
import itertools
import re
from functools import cache
from html import escape

from helpers import ROOT, TESTS
from helpers.said import PLACEHOLDER, Message, messages

PAGE = ROOT / "docs" / "messages.md"
ENDED = "Runs that fail or are stopped"
FEW = 10  # letters that a test has to repeat
HEAD = """# Messages

All error messages of imagepipe, and what to do. A message is one line,
`FIELD=VALUE: PROBLEM. REMEDY`; *names* stand for what varies. Messages of Hydra and other
libraries are not here. `make reference` writes this page.
Exit codes: 2 if the command has to change, 1 if a run failed, 130 after Ctrl-C.
"""
TITLES = {
    "api": "Settings that are not valid, and Python",
    "llm": "llm",
    "prompts": "dataset",
    "reports": "Commands",
    "cli": "Commands",
    "config": "Any key",
    "diffusion": "model",
    "execution": "Runs, machines and clusters",
    "scoring": "scorer",
    "servers": "Servers",
    "sources": "Tables and pictures",
    "stages": "All models",
    "store": "Output folders and stores",
    "sink": "Output folders and stores",
    "resources": "resources",
    "tracking": "tracking",
}


def page() -> str:
    """The whole page, from the code of the package."""
    groups: dict[str, list[Message]] = {}
    for one in messages():
        groups.setdefault(_title(one), []).append(one)
    said = [HEAD]
    ended = groups.pop(ENDED)
    for title in sorted(groups, key=lambda name: (name[0].islower(), name)):
        rows = dict.fromkeys(_row(one) for one in groups[title])
        said += [f"## {title}", "", "| field | problem | remedy |", "|---|---|---|", *rows, ""]
    lines = dict.fromkeys(f"- {_cell(one.problem)}" for one in ended)
    return "\n".join([*said, f"## {ENDED}", "", *lines, ""])


def _title(one: Message) -> str:
    if not one.field:
        return ENDED
    section = re.split(r"[./⟨]", one.field)[0]
    if re.fullmatch("[a-z_]+", section) and (ROOT / "conf" / section).is_dir():
        return section
    return TITLES.get(one.place.split(":")[0].removesuffix(".py").split("/")[0], "Other")


def _row(one: Message) -> str:
    return f"| {' | '.join(_cell(text) for text in (one.field, one.problem, one.remedy))} |"


def _cell(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    plain = re.sub(r"([\\`*_\[\]|{}#])", r"\\\1", escape("\n".join(lines), quote=False))
    plain = plain.replace("\n", "<br>")
    return PLACEHOLDER.sub(lambda found: f"<i>{found[1] or '...'}</i>", plain)


@cache
def _of_tests() -> list[str]:
    """All texts in the code of tests that may be of a message."""
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(TESTS.rglob("test_*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    whole = {node.value for node in nodes if isinstance(node, ast.Constant)}
    texts = {text for text in whole if isinstance(text, str)}
    texts |= {problem for text in texts for _, _, problem in [text.partition(": ")]}
    return sorted(text for text in texts if len(text) >= FEW)


def untested() -> list[Message]:
    """The messages of which no test repeats the words, or a part of them."""
    texts = _of_tests()
    every = "\n".join(texts)
    return [one for one in messages() if not _repeated(one, texts, every)]


def _repeated(one: Message, texts: list[str], every: str) -> bool:
    if len(one.words[0]) >= FEW and one.words[0] in every:
        return True
    if any(re.search(pattern, every) for pattern in _neighbours(one.problem)):
        return True
    return any(
        text in one.problem or (len(text) > 2 * FEW and text in one.remedy) for text in texts
    )


def _neighbours(problem: str) -> list[str]:
    """Patterns of what is said on either side of a value, with any value between them."""
    said = PLACEHOLDER.split(problem)[::2]
    pairs = [pair for pair in itertools.pairwise(said) if len("".join(pair).strip()) >= FEW]
    return [f"{re.escape(a)}.+{re.escape(b)}" for a, b in pairs if a.strip() and b.strip()]


if __name__ == "__main__":
    for one in untested():
        print(f"{one.place}  {one.field}: {one.problem}")
    print(len(untested()), "of", len(messages()))
