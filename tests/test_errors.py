"""Texts fit for a terminal, guesses at what was meant, and any error as one line."""

from __future__ import annotations

import pickle

import pytest
from ray.exceptions import RayTaskError, UserCodeException

from imagepipe.errors import (
    CHAINED,
    UserError,
    did_you_mean,
    listed,
    one_line,
    shown,
    with_class,
)

STACK = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no such thing\n'
WRAPPED = UserCodeException("UDF failed")


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        pytest.param(ValueError("wrong"), "wrong", "ValueError: wrong", id="one"),
        pytest.param(OSError("\n no file\n at all\n"), "no file", "OSError: no file", id="first"),
        pytest.param(KeyError(), "KeyError", "KeyError", id="silent"),
        pytest.param(
            RayTaskError("work", STACK, ValueError("no such thing\nof it")),
            "no such thing",
            "ValueError: no such thing",
            id="cause",
        ),
        pytest.param(
            RayTaskError("work", STACK, None),
            "ValueError: no such thing",
            "ValueError: no such thing",
            id="ray",
        ),
        pytest.param(
            RayTaskError("work", STACK + CHAINED + " UDF failed\nTo change", WRAPPED),
            "ValueError: no such thing",
            "ValueError: no such thing",
            id="wrapped",
        ),
        pytest.param(
            RayTaskError("work", f"a\nimagepipe.errors.RunFailed: it: is so\n{CHAINED}", WRAPPED),
            "it: is so",
            "it: is so",
            id="ours",
        ),
    ],
)
def test_an_error_is_one_line(error: Exception, line: str, named: str):
    assert one_line(error) == line
    assert with_class(error) == named


def test_a_long_one_is_cut():
    error = ValueError("x" * 99)
    assert one_line(error, limit=20) == f"{'x' * 17}..."
    assert with_class(error, limit=20) == f"ValueError: {'x' * 5}..."


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("a cat\n\tin a hat", "a cat\n\tin a hat", id="lines"),
        pytest.param("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m", id="colour"),
        pytest.param("a\rb\x07\x9b", "a\\rb\\x07\\x9b", id="control"),
        pytest.param("\u202egpj.tac", "\\u202egpj.tac", id="direction"),
        pytest.param("half \ud83d", "half \\ud83d", id="surrogate"),
        pytest.param("é 提示 🐈 שלום", "é 提示 🐈 שלום", id="scripts"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, plain: str):
    assert shown(text) == plain


def test_long_texts_are_cut_in_their_middle():
    said = shown("begin " + "x" * 59_000 + " end")
    assert len(said) < 2000
    assert said.startswith("begin xxx")
    assert said.endswith("xxx end")
    assert "... (59,010 characters) ..." in said
    assert shown("x" * 1900) == "x" * 1900


@pytest.mark.parametrize("sign", ["v", "提", "\x1b", "\ud83d", "🐈"])
def test_no_error_is_longer_than_two_kilobytes_and_each_keeps_its_remedy(sign: str):
    many = sign * 9000
    error = UserError(field="dataset.path", value=many, problem=many, remedy="Do this.")
    assert len(str(error).encode()) < 2000
    assert str(error).startswith(f"dataset.path={shown(sign * 3)}")
    assert str(error).endswith("Do this.")
    again = pickle.loads(pickle.dumps(error))
    assert (again.value, str(again)) == (error.value, str(error))


def test_a_list_says_the_closest_and_how_many_more():
    names = [f"column_{place}" for place in range(3000)]
    said = listed(names, near="column_2999x")
    assert said.startswith("column_2999, ")
    assert said.endswith(" ... and 2,988 more")
    assert listed(["a", "b"], near="z") == "a, b"
    assert listed(["n" * 999]).startswith("nnn")
    assert len(listed(["n" * 999])) < 100


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        pytest.param("modle.steps", ["model.steps", "seed"], "model.steps", id="close"),
        pytest.param("steps", ["model.steps"], "model.steps", id="last-part"),
        pytest.param("t.csv", ["t.csv", "r.csv"], "r.csv", id="not-itself"),
        pytest.param("t.csv", ["t.csv"], "", id="nothing-else"),
        pytest.param("id", ["ID", "idx"], "ID", id="other-case"),
        pytest.param("xyz", ["model"], "", id="far"),
    ],
)
def test_a_guess_is_never_the_very_thing_that_was_typed(word: str, known: list[str], said: str):
    assert did_you_mean(word, known) == (f'Did you mean "{said}"? ' if said else "")


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("cannot be read: no more data.\n", "cannot be read: no more data. Do it."),
        ("is torn: one\n  two", "is torn: one two. Do it."),
        ("says: begin...", "says: begin.... Do it."),
        ("is not there", "is not there. Do it."),
    ],
)
def test_a_problem_in_a_librarys_words_ends_as_others_do(problem: str, said: str):
    error = UserError(field="a", value=1, problem=problem, remedy="Do it.")
    assert str(error) == f"a=1: {said}"
