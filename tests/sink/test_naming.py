from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagepipe.sink.naming import MOST_BYTES, file_stem

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # surrogates too


@given(ANY_TEXT)
@example("../../etc/passwd")
@example("")
@example(".")
@example("..")
@example("~" + "0" * 32)
@example("\ud800")
def test_stem_is_safe_and_gives_the_id_back(id: str) -> None:
    stem = file_stem(id)
    assert 0 < len(stem) <= MOST_BYTES
    assert stem.isascii()
    assert not set(stem) & set('/\\:*?"<>| \0')
    assert not stem.startswith(".")
    is_cut = len(stem) == MOST_BYTES and "~" in stem
    raw = b"" if stem == "%" else unquote_to_bytes(stem)
    assert (raw == id.encode("utf-8", "surrogatepass")) != is_cut


@given(ANY_TEXT, ANY_TEXT)
@example("a/b", "a%2Fb")
@example("x" * 181, "x" * 182)
@example("é", "e\u0301")
@example("", "%")
def test_different_ids_have_different_stems(one: str, other: str) -> None:
    assert (file_stem(one) == file_stem(other)) == (one == other)


@pytest.mark.parametrize(
    ("id", "stem"),
    [
        ("IMG_001-b.v2", "IMG_001-b.v2"),
        ("007", "007"),
        ("a/b", "a%2Fb"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        (".hidden", "%2Ehidden"),
        ("50%", "50%25"),
        ("😀", "%F0%9F%98%80"),
    ],
)
def test_stems_stay_readable(id: str, stem: str) -> None:
    assert file_stem(id) == stem


def test_long_ids_that_begin_alike_differ() -> None:
    one, other = file_stem("x" * 1000 + "a"), file_stem("x" * 1000 + "b")
    assert one != other
    assert len(one) == MOST_BYTES
    assert file_stem("x" * MOST_BYTES) == "x" * MOST_BYTES
