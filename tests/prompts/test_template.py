from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagepipe.errors import UserError
from imagepipe.prompts.seeds import row_seed
from imagepipe.prompts.template import base_prompts, template_columns


def filled(template: str, **cells: object) -> tuple[str | None, str | None]:
    table = pa.table({name: [cell] for name, cell in cells.items()})
    prompts, reasons = base_prompts(template, {}, table)
    return prompts[0], reasons[0]


def test_columns_in_order_each_once() -> None:
    assert template_columns("{b} and {a}, {b} {{c}}") == ["b", "a"]
    assert template_columns("a cat") == []
    assert template_columns("{my column} {a-b}") == ["my column", "a-b"]
    assert template_columns("{dc:title} {a!r} {a:>9} {a[0}") == ["dc:title", "a!r", "a:>9", "a[0"]


@pytest.mark.parametrize(
    "template", ["", "{animal", "animal}", "{}", "{ }", "{a:{b}}", "a}}} b", "{a{{b}"]
)
def test_malformed_templates_are_refused(template: str) -> None:
    with pytest.raises(UserError, match=r"dataset\.prompt=.*Write column names in braces"):
        template_columns(template)


def test_no_template_reaches_an_attribute() -> None:
    assert template_columns("{a.__class__}") == ["a.__class__"]  # a name like any other
    with pytest.raises(KeyError):
        filled("{a.__class__}", a="x")


def test_cells_go_in_as_they_stand() -> None:
    assert filled("{{{a}}} {b}|", a=" {b} ", b="x\ty\nz") == ("{ {b} } x\ty\nz|", None)
    assert filled("{n} {f} {t}", n=7, f=0.5, t=True) == ("7 0.5 true", None)
    assert filled("a cat", a=None) == ("a cat", None)


@pytest.mark.parametrize("cell", [None, "", "  ", "\n", "\u00a0", float("nan")])
def test_an_empty_cell_fails_its_row(cell: object) -> None:
    assert filled("{a} {b}", a="x", b=cell) == (None, "column 'b' is empty")


@pytest.mark.parametrize("cell", ["a\0b", "\x1b[31m", "a\x7f", "a\x85b"])
def test_control_characters_fail_their_row(cell: str) -> None:
    assert filled("{a}", a=cell) == (None, "column 'a' holds control characters")


def test_only_the_columns_of_the_template_matter() -> None:
    assert filled("{a}", a="x", b=None) == ("x", None)


def test_renamed_columns_keep_their_name_in_the_template() -> None:
    table = pa.table({"input_prompt": ["a cat", None], "prompt": ["no", "no"]})
    prompts, reasons = base_prompts("{prompt}!", {"prompt": "input_prompt"}, table)
    assert prompts == ["a cat!", None]
    assert reasons == [None, "column 'prompt' is empty"]


def test_seeds_are_pinned() -> None:
    assert row_seed(0, "100") == row_seed(0, "100", 0) == 6422131710941389419


@given(st.integers(), st.text(st.characters(exclude_categories=())), st.integers(0, 99))
def test_seeds_are_63_bits_and_depend_on_all(run_seed: int, id: str, k: int) -> None:
    seed = row_seed(run_seed, id, k)
    assert 0 <= seed < 1 << 63
    others = {row_seed(run_seed + 1, id, k), row_seed(run_seed, id + "x", k)}
    others |= {row_seed(run_seed, id, k + 1), row_seed(run_seed, f"{k}:{id}", k)}
    assert seed not in others
