"""The page of messages is that of the code, and tests make the messages happen."""

from __future__ import annotations

from helpers import messages, said


def test_the_page_has_the_messages_of_the_code():
    """`make reference` writes it again."""
    assert messages.PAGE.read_text("utf-8") == messages.page()


def test_a_message_stands_with_its_field_and_remedy():
    rows = messages.page().splitlines()
    assert "| max\\_failures | is neither a count of rows nor a share of them |" in "\n".join(rows)
    assert "| <i>key</i> | is too large | At most <i>most</i>. |" in rows
    assert any(row.startswith("| model.cache | ") for row in rows)  # by a function of that room
    assert any(row.startswith("| dataset.path | is not a Parquet file |") for row in rows)


def test_each_message_is_named_by_a_test():
    assert messages.untested() == []


def test_words_are_those_that_are_always_said():
    one = said.Message("a.py:1", "key", "holds ⟨count⟩ of them, which are not pictures", "")
    assert one.words == ["of them, which are not pictures", "holds"]
