"""What is said of an argument that Hydra's grammar does not take."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from imagepipe.cli.messages import explain


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
