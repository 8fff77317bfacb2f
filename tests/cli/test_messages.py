"""What is said of an argument that Hydra's grammar does not take, and of a full disk."""

from __future__ import annotations

import errno
import os
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from imagepipe.cli.messages import explain, plain_errors


@pytest.mark.parametrize(
    ("key", "value", "sign"),
    [
        pytest.param("dataset.path", "提示.csv", "提", id="script"),
        pytest.param("dataset.path", "my [v2] data", "[", id="brackets"),
        pytest.param("dataset.prompt", "{dc:title} of a cat", "{", id="braces"),
        pytest.param("dataset.prompt", "it's a cat", "'", id="apostrophe"),
        pytest.param("dataset.prompt", 'a "red cat', '"', id="quote"),
    ],
)
def test_the_sign_that_needs_quotes_is_named_and_what_to_type_works(key, value, sign):
    with pytest.raises(OverrideParseException) as refusal:
        OverridesParser.create().parse_overrides([f"{key}={value}"])
    said = explain(refusal.value)
    assert said.startswith(f"{key}={value}: has a {sign} in its value")
    (typed,) = shlex.split(said.partition("Write ")[2])
    (again,) = OverridesParser.create().parse_overrides([typed])
    assert again.get_key_element() == key
    assert again.value() == value


def test_what_is_no_setting_at_all_is_told_so():
    with pytest.raises(OverrideParseException) as refusal:
        OverridesParser.create().parse_overrides(["limit 8"])
    assert explain(refusal.value).startswith("limit 8: is not a setting. Write KEY=VALUE")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(("name", "where"), [(None, ""), ("o/run.json", "o/run.json: ")])
def test_a_full_disk_is_told_in_a_line(number: int, name: str | None, where: str, capsys):
    """Wherever it is met: pyarrow's error has no name."""
    with pytest.raises(SystemExit) as ended, plain_errors():
        raise OSError(number, "Error writing bytes", name)
    said = f"imagepipe: {where}{os.strerror(number)}. Make room on that disk, and type the command"
    assert ended.value.code == 1 and capsys.readouterr().err == f"{said} again.\n"
