"""The commands of the how-to pages compose, or are refused plainly where there is nothing yet."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from helpers.how_to import TYPED, preset

from imagepipe.cli.commands import COMMANDS, split
from imagepipe.cli.composing import composed


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
            folder = preset(page, place)
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
    assert re.search("does not exist|holds no|not there|No such file|is not a folder", said), said
