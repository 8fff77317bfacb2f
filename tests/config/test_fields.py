"""Limits stand beside their fields, and the walk finds each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from imagepipe.config import Config, Dataset, Join
from imagepipe.config.fields import bounded, check_fields, choice
from imagepipe.errors import UserError


@dataclass
class Inner:
    rate: float = bounded(0.5, least=0, most=1)


@dataclass
class Outer:
    kind: str | None = choice(None, ("auto", "shuffle"))
    count: int | None = bounded(None, least=1)
    inner: Inner = field(default_factory=Inner)
    more: list[Inner] = field(default_factory=list)
    free: str = "anything"


def refusal(section: object) -> str:
    with pytest.raises(UserError) as caught:
        check_fields(section, "outer.")
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        pytest.param(
            Outer(kind="shufle"),
            "outer.kind=shufle: is not one of the choices. "
            'Did you mean "shuffle"? Choose one of: auto, shuffle.',
            id="choice",
        ),
        pytest.param(Outer(count=0), "outer.count=0: is too small. At least 1.", id="small"),
        pytest.param(
            Outer(inner=Inner(1.5)), "outer.inner.rate=1.5: is too large. At most 1.", id="inside"
        ),
        pytest.param(
            Outer(more=[Inner(), Inner(-1)]),
            "outer.more[1].rate=-1: is too small. At least 0.",
            id="list",
        ),
        pytest.param(
            Outer(inner=Inner(math.nan)),
            "outer.inner.rate=nan: is not a number. At least 0.",
            id="nan",
        ),
    ],
)
def test_a_value_beyond_its_fields_limit_is_refused_by_its_key(section: Outer, said: str):
    assert refusal(section) == said


def test_null_and_what_has_no_limit_pass():
    check_fields(Outer(free="whatever", more=[Inner(0), Inner(1)]))


def test_a_further_table_is_held_to_the_limits_of_the_first():
    config = Config(dataset=Dataset(more_joins=[Join(), Join(how="lefft")]))
    config.dataset.format = "csv"
    with pytest.raises(UserError, match=r"dataset\.more_joins\[1\]\.how=lefft.*\"left\""):
        check_fields(config)
