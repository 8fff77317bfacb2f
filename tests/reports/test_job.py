"""What all reports say of a job alike."""

from __future__ import annotations

import pytest

from imagepipe.config import Config, Scorer
from imagepipe.reports.job import scorer_names


@pytest.mark.parametrize(
    ("engine", "name"), [("clip", "mine"), ("none", "none"), ("auto", "mine"), ("clop", "mine")]
)
def test_the_scorer_of_a_job_that_was_refused_has_a_name_too(engine: str, name: str):
    assert scorer_names(Config(scorer={"mine": Scorer(name="mine", engine=engine)})) == name
