"""Settings that do not go together are refused with the words that say why."""

from __future__ import annotations

import pytest
from helpers.configs import composed

from imagepipe.errors import UserError


@pytest.mark.parametrize(
    ("settings", "field", "problem"),
    [
        (["retry_failed=true"], "retry_failed", "only a run that is resumed has failed rows"),
        (["sweep.reuse=5"], "sweep.reuse", "is neither true, false nor auto, and names no folder"),
        (
            ["sink.hub=user/name", "sink.path=s3://bucket/x"],
            "sink.hub",
            "is pushed from a folder, and sink.path names an object store",
        ),
        (
            ["sink.parquet=false"],
            "sink.parquet",
            "the table is how a run knows which rows it has written",
        ),
        (["sink.png=false"], "sink", "saves no pictures"),
        (
            ["scorer=[tiny_clip,clip]", "+scorer.pickscore.path=x"],
            "scorer.pickscore",
            "is none of this run's scorers",
        ),
        (
            ["scorer=[tiny_clip,clip]", "scorer.clip.name='a b'"],
            "scorer.clip.name",
            "names columns and keys, where there are several scorers",
        ),
        (
            ["model.compile_whole=true"],
            "model.compile_whole",
            "has no effect without model.compile",
        ),
        (
            ["sweep.at_least_images_per_s=2"],
            "sweep.at_least_images_per_s",
            "has no effect with sweep.objective=images_per_s",
        ),
        (["sweep.objective=pictures_per_dollar"], "sweep.objective", "needs a price"),
    ],
    ids=lambda part: part if isinstance(part, str) and "=" not in part and " " not in part else "",
)
def test_what_does_not_go_together(settings, field, problem):
    with pytest.raises(UserError) as caught:
        composed(*settings)
    assert (caught.value.field, caught.value.problem) == (field, problem)
    assert caught.value.remedy
