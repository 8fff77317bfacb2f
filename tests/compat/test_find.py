"""How a private name is looked up, and what is said where there is none."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from imagepipe import compat
from imagepipe.compat import NONE_FOUND, SAY, find, find_file, find_option, find_source


@pytest.fixture(autouse=True)
def new(monkeypatch):
    """A process that has looked for nothing yet."""
    monkeypatch.setattr(compat, "LOST", {})
    monkeypatch.setattr(compat, "SAID", set())
    monkeypatch.delenv(NONE_FOUND, raising=False)
    monkeypatch.setenv(SAY, "")  # so that it is put back
    monkeypatch.delenv(SAY)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param("json.decoder", "JSONDecoder", id="module"),
        pytest.param("json.decoder:JSONDecoder", "decode", id="class"),
        pytest.param(SimpleNamespace(a=SimpleNamespace(b=0)), "a.b", id="object"),
    ],
)
def test_what_is_there_is_found_unless_nothing_is_to_be(owner, name, monkeypatch):
    assert find(owner, name, "All is lost.") is not None
    monkeypatch.setenv(NONE_FOUND, "1")
    assert find(owner, name, "All is lost.") is None


@pytest.mark.parametrize(
    ("owner", "name", "said"),
    [
        pytest.param("no.such.module", "name", "no.such.module.name", id="module"),
        pytest.param("json:NoSuchClass", "name", "json:NoSuchClass.name", id="class"),
        pytest.param(SimpleNamespace(), "_plan.dag", "SimpleNamespace._plan.dag", id="object"),
    ],
)
def test_what_is_lost_is_said_once_where_it_is_asked_for(owner, name, said, capsys):
    compat.say_what_is_lost(False)
    find(owner, name, "Less speed.")
    assert capsys.readouterr().err == ""
    compat.say_what_is_lost(True)
    find(owner, name, "Less speed.")
    assert capsys.readouterr().err == f"imagepipe: {said} is not there. Less speed.\n"
    compat.say_what_is_lost(True)
    find(owner, name, "Less speed.")
    assert capsys.readouterr().err == ""


class Known:
    """A class whose code can be read."""


def test_files_options_and_code_are_looked_up_alike(monkeypatch):
    def takes(**options: int) -> None:
        """``_memory`` in bytes."""

    known = [
        lambda: find_file("imagepipe", "compat/__init__.py", ""),
        lambda: find_option(takes, "_memory", ""),
        lambda: find_source(Known, ""),
    ]
    assert all(one() for one in known)
    assert find_file("imagepipe", "compat/none.py", "") is None
    assert find_file("no_such_package", "none.py", "") is None
    assert find_option(takes, "_memories", "") is None
    assert find_source(type("Made", (), {}), "") is None
    monkeypatch.setenv(NONE_FOUND, "1")
    assert [one() for one in known] == [None] * 3


def test_processes_that_are_started_say_it_too(monkeypatch):
    compat.say_what_is_lost(True)
    code = "from imagepipe.compat import find; find('json', '_none', 'Slower.')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "imagepipe: json._none is not there. Slower.\n"
