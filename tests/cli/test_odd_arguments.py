"""Arguments that no file system or terminal takes: refused in a line."""

from __future__ import annotations

import pytest

from imagepipe.cli.commands import check_flags
from imagepipe.cli.messages import plain_errors
from imagepipe.errors import UserError


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        pytest.param("-\x1b[31m", "flag=-\\x1b[31m: there is no such flag", id="colour"),
        pytest.param("--\u202ecfg", "flag=--\\u202ecfg: there is no such flag", id="direction"),
        pytest.param("-\r", "flag=-\\r: there is no such flag", id="return"),
    ],
)
def test_a_flag_that_would_steer_the_terminal(flag: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_flags(["model=noop", flag])
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("setting", ["+=", "++=3", "~="])
def test_a_setting_without_a_key(setting: str) -> None:
    with pytest.raises(UserError, match="names no key"):
        check_flags([setting])


def test_other_flags_and_values_are_for_hydra_to_judge() -> None:
    check_flags(["-m", "--no-such-flag", "dataset.path=\x1b", "--config-dir=提示"])


def test_a_name_that_no_disk_takes(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended, plain_errors():
        (tmp_path / ("提" * 9000)).stat()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and len(told.encode()) < 500
    assert told.endswith("提: is too long for the name of a file or a folder.\n")
