"""The column whose values a comparison tells apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagepipe.config import Dataset, Join
from imagepipe.errors import UserError
from imagepipe.sources import scan


def scanned(folder: Path, left: str, category: str, **more):
    (folder / "t.jsonl").write_text(left)
    asked = {"name": "t", "format": "jsonl", "path": str(folder / "t.jsonl"), "id": "id"}
    return scan(Dataset(**asked, prompt="{what}", category=category, **more), None)


LEFT = '{"id": "a", "what": "x", "kind": "easy", "score": 1, "parts": {"n": 1}}\n'


@pytest.mark.parametrize(
    ("category", "found"), [("kind", "kind"), ("score", "input_score"), ("wears", "wears")]
)
def test_it_is_a_column_of_any_of_the_tables(tmp_path: Path, category: str, found: str):
    (tmp_path / "right.jsonl").write_text('{"id": "a", "wears": "hat"}\n')
    join = Join(path=str(tmp_path / "right.jsonl"), on="id")
    assert scanned(tmp_path, LEFT, category, join=join).category == found


@pytest.mark.parametrize(
    ("category", "said"),
    [
        ("knid", 'is not a column of the tables. Did you mean "kind"?'),
        ("parts", "holds struct<n: int64> in the tables, which is not a category."),
    ],
)
def test_what_is_no_column_is_refused(tmp_path: Path, category: str, said: str):
    with pytest.raises(UserError, match=f"dataset.category={category}") as caught:
        scanned(tmp_path, LEFT, category)
    assert said in str(caught.value)
