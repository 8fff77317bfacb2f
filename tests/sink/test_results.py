"""What is read of a run's store to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from helpers.written import batch, writer

from imagepipe.sink import results
from imagepipe.store import Store


class Watched(Store):
    """A store that knows which of its pictures were read."""

    reads: ClassVar[list[str]] = []

    def read(self, name: str) -> bytes:
        self.reads.append(name)
        return super().read(name)


def test_samples_are_found_without_reading_other_pictures(tmp_path: Path):
    for number in range(6):
        writer(tmp_path)(batch([f"r{number}-{k}" for k in range(3)], each=2))
    store = Watched(str(tmp_path))
    store.reads.clear()
    found = results.of_rows(store, "id", ["r4-2", "failed", "r1-0"])
    assert [one.id for one in found] == ["r4-2", "r1-0"]
    assert sorted(store.reads) == ["images/r1-0-0.png", "images/r4-2-0.png"]


@pytest.mark.parametrize("webdataset", [False, True])
def test_a_picture_that_somebody_removed_is_not_shown(tmp_path: Path, webdataset: bool):
    writer(tmp_path, webdataset=webdataset)(batch(["a", "b", "c"]))
    (tmp_path / "images" / "b.png").unlink()
    shown = results.to_show(Store(str(tmp_path)), "id", 200)
    assert [one.id for one in shown] == (["a", "b", "c"] if webdataset else ["a", "c"])
    if not webdataset:
        assert results.of_rows(Store(str(tmp_path)), "id", ["b"]) == []


def test_no_more_are_shown_than_asked_for(tmp_path: Path):
    for name in "abc":
        writer(tmp_path)(batch([f"{name}{k}" for k in range(4)]))
    assert len(results.pictures(Store(str(tmp_path)), "id", 6)) == 6
    assert results.pictures(Store(str(tmp_path)), "id", 0) == []
