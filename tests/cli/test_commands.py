"""`imagepipe COMMAND`: what each says of itself, and what a shell completes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from imagepipe import __version__
from imagepipe.cli import commands
from imagepipe.errors import UserError

# In one process, since each answer is to load nothing heavy: so neither do all.
ASK_ALL = """
import contextlib, io, json, sys
from imagepipe.cli import commands
said = {}
for words in ([], *([name] for name in commands.COMMANDS)):
    sys.argv, out = ["imagepipe", *words, "--help"], io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        commands.main()
    said[" ".join(words)] = out.getvalue()
heavy = "torch ray mlflow diffusers transformers vllm pandas pyarrow".split()
print(json.dumps([said, sorted(set(heavy) & set(sys.modules))]))
"""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([], ("run", [])),
        (["llm=none"], ("run", ["llm=none"])),
        (["-m", "seed=1,2"], ("run", ["-m", "seed=1,2"])),
        (["~scorer"], ("run", ["~scorer"])),
        (["+x=1"], ("run", ["+x=1"])),
        (["run", "llm=none"], ("run", ["llm=none"])),
        (["plan", "--json"], ("plan", ["--json"])),
        (["track", "plan"], ("track", ["plan"])),
    ],
    ids=["nothing", "key", "option", "without", "added", "run", "plan", "folder"],
)
def test_a_first_word_without_a_value_is_a_command(typed, meant):
    assert commands.split(typed) == meant


@pytest.mark.parametrize(
    ("typed", "guess"), [("plna", "plan"), ("reprodcue", "reproduce"), ("Run", "run"), ("zz", None)]
)
def test_an_unknown_command_is_refused_with_the_one_that_is_meant(typed, guess):
    with pytest.raises(UserError, match=f"command={typed}: there is no such command") as refused:
        commands.split([typed, "llm=none"])
    said = str(refused.value)
    assert (f'Did you mean "{guess}"?' in said) if guess else ("Did you mean" not in said)
    assert all(name in said for name in commands.COMMANDS)


def test_a_folder_that_was_removed_meanwhile_is_refused(tmp_path: Path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    commands.check_folder()
    folder.rmdir()
    with pytest.raises(UserError, match=r"cannot be used \(No such file.*It may have been removed"):
        commands.check_folder()


def test_each_command_says_what_it_does_and_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", ASK_ALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, heavy = json.loads(done.stdout)
    assert heavy == []
    for name, command in commands.COMMANDS.items():
        assert f"  {name:<10} {command.what}\n" in said[""]
        assert name == "run" or said[name].startswith(f"usage: imagepipe {name} ")
    assert said["run"] == said[""]


def test_the_version_is_said_and_nothing_else():
    done = subprocess.run(
        [sys.executable, "-m", "imagepipe", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"imagepipe {__version__}\n")


def test_the_old_names_of_the_commands_go_on_working(tmp_path: Path):
    for old, field in (("imagepipe.reproduce", "IMAGE"), ("imagepipe.tracking", "folder")):
        done = subprocess.run(
            [sys.executable, "-m", old, tmp_path / "no"], capture_output=True, text=True
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"imagepipe: {field}={tmp_path / 'no'}: ")


INTERRUPTED = """
import sys
from imagepipe.cli import commands

class Interrupt:
    def find_spec(name, *_):
        if name == "imagepipe.cli.messages":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt)
commands.main()
"""


def test_an_interrupt_while_the_modules_load_is_told_plainly():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "imagepipe: interrupted\n")


COMPLETE = """
for line in "$@"; do
    COMP_LINE=$line COMP_WORDS=($line)
    COMP_POINT=${#line} COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    hydra_bash_completion
    echo "${COMPREPLY[*]}"
done
"""


def test_bash_completes_commands_groups_choices_and_keys(tmp_path: Path):
    """By the line that `imagepipe --help` prints."""
    command = tmp_path / "imagepipe"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m imagepipe "$@"\n')
    command.chmod(0o755)
    text = (ROOT / "conf" / "hydra" / "help" / "imagepipe.yaml").read_text().replace("$$", "$")
    (printed,) = re.findall(r'eval ".*=bash\)"', text)
    lines = [
        "imagepipe repro",
        "imagepipe plan model=sdxl_",
        "imagepipe model.ste",
        "imagepipe ui x",
    ]
    done = subprocess.run(
        ["bash", "-c", f'PATH="{tmp_path}:$PATH"\n{printed}\n{COMPLETE}', "bash", *lines],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    command, choices, key, none = done.stdout.splitlines()
    assert command == "reproduce"
    files = sorted((ROOT / "conf" / "model").glob("sdxl_*.yaml"))
    assert choices.split() == [f"model={file.stem}" for file in files]
    assert len(files) > 3
    assert key == "model.steps="
    assert none == ""
