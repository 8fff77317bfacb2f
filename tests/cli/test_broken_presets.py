"""A preset that cannot be read is told by its file, and the place in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command import imagepipe

from imagepipe.api.overrides import checked
from imagepipe.cli.composing import composing
from imagepipe.cli.messages import plain_errors
from imagepipe.errors import UserError

BROKEN = {
    "name: x\n steps: 3\n": "line 2, column 7: mapping values are not allowed here",
    "name: a\nname: b\n": "line 2, column 1: found duplicate key name",
    "name: *x\n": "line 1, column 7: found undefined alias 'x'",
    "\tname: x\n": "line 1, column 1: found character",
    'name: "a\n': "line 2, column 1: found unexpected end of stream",
    "a: 1\n---\nb: 2\n": "line 2, column 1: but found another document",
    "name: a\0b\n": "unacceptable character #x0000",
}


@pytest.mark.parametrize("said", BROKEN.values())
def test_what_is_no_yaml(tmp_path: Path, capsys, said: str):
    text = next(text for text, found in BROKEN.items() if found == said)
    file = tmp_path / "model" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(text)
    with (
        pytest.raises(SystemExit) as ended,
        plain_errors(),
        composing(["model=mine"], str(tmp_path)),
    ):
        pass
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith(f"imagepipe: {file}: is no YAML that can be read ({said}")
    assert told.endswith("). Correct it there.\n") and told.count("\n") == 1
    with (
        pytest.raises(UserError, match="is no YAML that can be read"),
        checked(["model=mine"], tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: three", "model.steps=three: takes a whole number. Correct it in "),
        ("steps: null", "model.steps=null: takes a whole number. Correct it in "),
        ("loras: 3", "model.loras: takes a list, as in [a,b]. Correct it in "),
        ("[a, b]", "model/mine: Merge error: list is not a subclass"),
    ],
)
def test_what_is_no_value_names_key_and_file(tmp_path: Path, capsys, text: str, said: str):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(text)
    with pytest.raises(SystemExit), plain_errors(), composing(["model=mine"], str(tmp_path)):
        pass
    told = capsys.readouterr().err
    assert told.startswith(f"imagepipe: {said}") and "model/mine.yaml" in told[-20:]


@pytest.mark.parametrize("command", [[], ["plan"]], ids=["run", "plan"])
def test_what_is_not_utf_8(tmp_path: Path, command: list[str]):
    (tmp_path / "own/model").mkdir(parents=True)
    (tmp_path / "own/model/other.yaml").write_bytes(b"name: caf\xe9")
    (tmp_path / "own/model/mine.yaml").write_text("name: é", "utf-16")
    done = imagepipe(tmp_path, *command, "--config-dir", "own", "model=mine")
    assert done.returncode == 2 and done.stderr == (
        "imagepipe: own/model/mine.yaml: is not UTF-8 (invalid start byte at byte 0). "
        "Save it as UTF-8.\n"
    )
