"""The commands of docs/models.md compose."""

from __future__ import annotations

import re
import shlex

import pytest
from helpers import ROOT
from helpers.configs import composed

SHELL = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "models.md").read_text("utf-8"), re.DOTALL)
COMMANDS = re.findall(r"^python -m imagepipe (.*)$", "\n".join(SHELL).replace("\\\n", ""), re.M)


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_a_command_composes(command: str):
    assert composed(*shlex.split(command)) is not None
