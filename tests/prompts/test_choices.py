"""Choices and wildcards in a template: what a row picks, and what is refused."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.asked import dataset, refused, written

from imagepipe.errors import UserError
from imagepipe.prompts import varied
from imagepipe.prompts.template import base_prompts
from imagepipe.sources import fingerprint, scan

MANY = pa.table({"id": [f"row{n}" for n in range(2000)], "what": ["cat"] * 2000})


def prompts(text: str, folder: Path | None = None, seed: int = 0, table: pa.Table = MANY) -> list:
    template = pickle.loads(pickle.dumps(varied(text, None if folder is None else str(folder))))
    return base_prompts(template, {}, table, seed, "id")[0]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("{a|b}", {"a": 0.5, "b": 0.5}),
        ("{a|3::b}", {"a": 0.25, "b": 0.75}),
        ("{0.5::a|0::b|1.5::c}", {"a": 0.25, "c": 0.75}),
        ("a {small |}{what}", {"a small cat": 0.5, "a cat": 0.5}),
        ("{a|{b|c}}", {"a": 0.5, "b": 0.25, "c": 0.25}),
        ("{{{a|b}}}", {"{a}": 0.5, "{b}": 0.5}),
        ("{a {what}|b}", {"a cat": 0.5, "b": 0.5}),
        ("{a|a|b}", {"a": 2 / 3, "b": 1 / 3}),
        ("__what__ {what}", {"__what__ cat": 1.0}),
    ],
)
def test_a_choice_is_made_by_its_weights(text: str, shares: dict[str, float]) -> None:
    found = Counter(prompts(text))
    assert set(found) == set(shares)
    for said, share in shares.items():
        assert found[said] / len(MANY) == pytest.approx(share, abs=0.05)


def test_a_row_chooses_by_its_id_and_the_seed_alone() -> None:
    text = "{a|b|c} {d|e|f} {g|h|i}"
    every = prompts(text)
    assert prompts(text, table=MANY.slice(500, 9)) == every[500:509]
    assert prompts(text, seed=1) != every
    assert len(set(every)) == 27  # one choice does not decide another
    assert every[:4] == ["a e i", "a e g", "b e i", "b e i"]


def test_choices_that_are_not_made_need_no_cell() -> None:
    table = pa.table({"id": ["1", "2", "3", "4"], "what": [None] * 4})
    text, reasons = base_prompts(varied("{a {what}|b}"), {}, table, 0, "id")
    assert {(t, r) for t, r in zip(text, reasons, strict=True)} == {
        ("b", None),
        (None, "column 'what' is empty"),
    }
    assert base_prompts(varied("{ |  }"), {}, table, 0, "id")[1] == ["the prompt is empty"] * 4


def test_wildcards_are_lines_of_files(tmp_path: Path) -> None:
    written(tmp_path / "coat.txt", "# coats\n\nred\n  2::{light|dark} blue \n")
    written(tmp_path / "by" / "season.txt", "spring __coat__\n")
    found = Counter(prompts("{what}, __coat__", tmp_path))
    assert set(found) == {"cat, red", "cat, light blue", "cat, dark blue"}
    assert found["cat, red"] / len(MANY) == pytest.approx(1 / 3, abs=0.05)
    deep = set(prompts("__by/season__!", tmp_path))
    assert deep == {"spring red!", "spring light blue!", "spring dark blue!"}
    assert len(set(prompts("__coat__ on __coat__", tmp_path))) == 9


def test_a_file_that_many_name_is_read_once(tmp_path: Path) -> None:
    written(tmp_path / "w0.txt", "x\ny {what}\n")
    for n in range(1, 30):
        written(tmp_path / f"w{n}.txt", f"__w{n - 1}__ __w{n - 1}__\n" * 2)
    template = varied("__w29__", str(tmp_path))  # 2**58 prompts
    assert template.columns == ["what"]
    assert len(pickle.dumps(template)) < 20_000


@pytest.mark.parametrize(
    ("files", "text", "words"),
    [
        ({"a": "__a__\n"}, "__a__", "a.txt: refers to itself: a -> a"),
        ({"a": "x\n__b__\n", "b": "{y|__c__}", "c": "__b__"}, "__a__", "itself: b -> c -> b"),
        ({"coat": "red"}, "__caot__", 'caot.txt: is not there. Did you mean "coat"?'),
        ({"a": "# none\n\n"}, "__a__", "has no line to choose"),
        ({"a": b"\xff\xfe\xfa"}, "__a__", "is not UTF-8"),
        ({"a": "0::x\n"}, "__a__", "has a choice with only weights of 0"),
        ({"a": "x {\n"}, "__a__", "has an unmatched brace, at '{'"),
    ],
)
def test_wildcards_that_cannot_be(
    tmp_path: Path, files: dict[str, str | bytes], text: str, words: str
) -> None:
    for name, content in files.items():
        written(tmp_path / f"{name}.txt", content)
    with pytest.raises(UserError) as caught:
        varied(text, str(tmp_path))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a|b", "an unmatched brace, at '{a|b'"),
        ("a|b}", "an unmatched brace, at '}'"),
        ("{a {b} c}", "an unmatched brace"),
        ("{0::a|0::b}", "only weights of 0"),
        ("{a|{waht}}", "names 'waht', which is not a column"),
        ("", "is empty"),
    ],
)
def test_templates_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path / "t.csv", "id,what\n1,a\n")
    assert words in str(refused(dataset(path, prompt=text)))


def test_what_wildcards_hold_is_known_again(tmp_path: Path) -> None:
    asked = dataset(written(tmp_path / "t.csv", "id,what\n1,a\n"), prompt="{what} __coat__")
    asked.wildcards = str(tmp_path / "w")
    written(tmp_path / "w" / "coat.txt", "red\n")
    before = fingerprint(scan(asked, None))
    assert before == fingerprint(scan(asked, None))
    written(tmp_path / "w" / "other.txt", "x\n")
    assert before == fingerprint(scan(asked, None))
    written(tmp_path / "w" / "coat.txt", "blue\n")
    after = fingerprint(scan(asked, None))
    assert (before[0], before[1]["name"]) == (after[0], "dataset.wildcards")
    assert before[1] != after[1]
