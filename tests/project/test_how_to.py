"""The commands of the how-to pages compose, or are refused plainly where there is nothing yet."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
from helpers import ROOT

from imagepipe.cli.commands import COMMANDS, split
from imagepipe.cli.composing import composed

PAGES = sorted((ROOT / "docs" / "how").glob("*.md"))
SHELL = ("export ", "pip ", "'llm.request", "cat ")


def commands(page: Path) -> list[list[str]]:
    """What is typed behind `imagepipe`, of each command of a page."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    typed = [shlex.split(line, comments=True) for line in lines if not line.startswith(SHELL)]
    assert all(words[:1] == ["imagepipe"] or words[:3] == RUN for words in typed if words)
    return [words[3:] if words[0] == "python" else words[1:] for words in typed if words]


RUN = ["python", "-m", "imagepipe"]
TYPED = [
    pytest.param(words, page, id=f"{page.stem}{number}")
    for page in PAGES
    for number, words in enumerate(commands(page))
]


def one_job(setting: str) -> str:
    """Of what a sweep varies the first value."""
    key, _, value = setting.partition("=")
    found = re.match(r"choice\(([^,]*)|([\w.]+),", value)
    return f"{key}={found[1] or found[2]}" if found else setting


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "page"), TYPED)
def test_commands_compose_or_are_refused_plainly(words, page, place, capsys):
    name, arguments = split([*words])
    if COMMANDS[name].composes:
        folder = None
        if "--config-dir" in arguments:
            folder = presets(page, place)
            at = arguments.index("--config-dir")
            del arguments[at : at + 2]
        settings = [
            one_job(one) for one in arguments if not one.startswith(("-", "hydra", "resume="))
        ]
        assert composed(settings, folder) is not None
        return
    assert importlib.import_module(COMMANDS[name].module).main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("imagepipe: ")
    assert re.search("does not exist|holds no|not there|No such file|is no folder", said), said


def presets(page: Path, place: Path) -> str:
    """The folder of presets that a page describes, with its example."""
    text = page.read_text("utf-8")
    group = page.stem
    (place / group).mkdir()
    (place / group / "mine.yaml").write_text(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    return str(place)
