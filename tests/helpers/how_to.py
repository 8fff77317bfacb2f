"""The commands on the how-to pages, and what stands for what a test lacks of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers import ROOT

PAGES = sorted((ROOT / "docs" / "how").glob("*.md"))
SHELL = ("export ", "pip ", "'llm.request", "cat ")
RUN = ["python", "-m", "imagepipe"]


def commands(page: Path) -> list[list[str]]:
    """What is typed behind `imagepipe`, of each command of a page."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    typed = [shlex.split(line, comments=True) for line in lines if not line.startswith(SHELL)]
    assert all(words[:1] == ["imagepipe"] or words[:3] == RUN for words in typed if words)
    return [words[3:] if words[0] == "python" else words[1:] for words in typed if words]


TYPED = [
    pytest.param(words, page, id=f"{page.stem}{number}")
    for page in PAGES
    for number, words in enumerate(commands(page))
]


def preset(page: Path, folder: Path, path: str | None = None) -> str:
    """The folder of presets that a page describes, with its example; `path` replaces its own."""
    text = re.search(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)[1]
    if path is not None:
        text = re.sub(r"^path: \S+", f"path: {path}", text, flags=re.MULTILINE)
    file = folder / page.stem / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return str(folder)
