"""What is left of a run whose pictures are scored again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagepipe.errors import UserError
from imagepipe.execution.rescore import summary_before


def test_a_table_that_got_scores_is_not_yet_on_the_hub(tmp_path: Path):
    said = {"status": "FINISHED", "hub": {"name": "me/cats", "url": "x"}, "pictures": 3}
    (tmp_path / "summary.json").write_text(json.dumps(said))
    assert summary_before(tmp_path) == {"status": "FINISHED", "pictures": 3}


def test_a_run_that_has_not_ended_is_not_scored(tmp_path: Path):
    with pytest.raises(UserError, match="is a run that has not ended"):
        summary_before(tmp_path)
