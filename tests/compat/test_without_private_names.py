"""Runs where no library has any of its private names: later figures, the same pictures."""

from __future__ import annotations

import pytest
from helpers.command import FAST, run, summary, table

from imagepipe.compat import NONE_FOUND


@pytest.mark.faults
@pytest.mark.ray_release
def test_a_run_needs_no_private_name(tmp_path, monkeypatch):
    monkeypatch.setenv(NONE_FOUND, "1")
    options = ["limit=20", "resources.rows_per_block=4", "scorer=none", "tracking=none"]
    out = run(tmp_path, "out", *FAST, *options)
    assert len(table(out)) == 20
    assert len(list((out / "images").glob("*.png"))) == 20
    assert list((out / "table").glob("part-*")) != []
    assert summary(out)["stages"] == {}
