"""A run that tells how far its pictures are from a reference: after drawing, in its summary, on
the pages, in MLflow; and what is refused before it starts.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import one_session, tracked
from helpers.compared import RED, Made, swept_into
from helpers.configs import composed
from PIL import Image

from imagepipe.cli import distance as command
from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.execution.distance import REFERENCE, Pictures, check
from imagepipe.reports import comparison, distances
from imagepipe.reports.comparison import tables
from imagepipe.tracking.figures import figures
from toyworld import held_out, judge

FOUND = {
    "pictures": 64,
    "of": "here",
    "left_out": "",
    "reference_pictures": 400,
    "reference": "photos",
    "reference_left_out": "1 left out (b.png: broken)",
    "features": "tiny_clip, 128 numbers a picture",
    "fid": "64 pictures are too few for 128 features; about 144 would do",
    "cmmd": {"value": 0.5, "low": 0.4, "high": 0.6, "bias": 0.1},
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    for i, image in enumerate(judge.rendered(held_out.load(held_out.DEFAULT)[::16])):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def test_a_run_tells_what_the_command_tells_of_it(reference: Path, tmp_path: Path):
    tracked.with_database(tmp_path / "outputs")
    options = [f"distance.reference={reference}", "distance=tiny_clip", "model=noop"]
    done = one_session.job(tmp_path, "out", *options, "llm=none", "scorer=none", "limit=20")
    assert done.code == 0, done.said
    summary = json.loads((done.folder / "summary.json").read_text())
    told = summary["distance"]
    assert (told["pictures"], told["reference_pictures"]) == (20, 25)
    assert told["cmmd"]["low"] < told["cmmd"]["value"] < told["cmmd"]["high"]
    assert f"distance   of 20 pictures to 25 in {reference}, by tiny_clip" in done.said
    assert set(summary["stages"]) <= {"llm", "model", "write"}  # it is no part of the way of a row
    out = tmp_path / "told.json"
    assert command.main([str(done.folder), str(reference), options[1], f"--out={out}"]) == 0
    again = json.loads(out.read_text())
    for name in ("cmmd", "kid", "precision", "recall"):
        assert again[name] == pytest.approx(told[name], rel=1e-3)
    run = tracked.client(tmp_path / "outputs").get_run(summary["mlflow"]["run_id"])
    assert run.data.metrics["distance/cmmd/value"] == told["cmmd"]["value"]
    assert run.data.metrics["distance/cmmd/high"] == told["cmmd"]["high"]


def test_what_is_a_metric_of_it():
    assert dict(figures({"distance": FOUND})) == {
        "distance/pictures": 64,
        "distance/reference_pictures": 400,
        "distance/cmmd/value": 0.5,
        "distance/cmmd/low": 0.4,
        "distance/cmmd/high": 0.6,
        "distance/cmmd/bias": 0.1,
    }


def test_what_the_terminal_says():
    assert distances.in_summary(FOUND) == [
        "of 64 pictures to 400 in photos, by tiny_clip, 128 numbers a picture; 1 left out (b.png: "
        "broken)",
        "fid       64 pictures are too few for 128 features; about 144 would do",
        "cmmd      0.5 (0.4 to 0.6), +0.1 of it because there are few pictures",
    ]
    lost = {"reference": "photos", "trouble": "it is gone"}
    assert distances.in_summary(lost) == ["to photos cannot be measured: it is gone"]


def test_jobs_show_it_with_its_interval_and_none_is_best_by_it(tmp_path: Path):
    more = FOUND | {"pictures": 60, "cmmd": {"value": 0.1, "low": 0, "high": 0.2, "bias": 0}}
    lost = {"reference": "photos", "trouble": "it is gone"}
    made = [
        Made({"model.steps": str(n)}, 1.0, 0.5, RED, more={"distance": one})
        for n, one in enumerate((FOUND, FOUND, lost))
    ]
    swept_into(tmp_path, made)
    found = comparison.collect(tmp_path, Sweep())
    assert {"key": "distance cmmd", "name": "cmmd"} in tables.columns(found)
    assert not [one for one in tables.columns(found) if one["key"] == "distance fid"]
    lines = [tables.job(found, job) for job in found.jobs]
    assert [line["cells"].get("distance cmmd") for line in lines] == [0.5, 0.5, None]
    assert lines[0]["limits"]["distance cmmd"] == "0.4 to 0.6"
    assert not [said for said in found.besides() if "distance" in said]
    jobs = [replace(found.jobs[0], summary=found.jobs[0].summary | {"distance": more})]
    other = replace(found, jobs=[*jobs, *found.jobs[1:]])
    assert "distances are not comparable: pictures differ (60 and 64)" in other.besides()


@pytest.mark.parametrize(
    ("overrides", "rows", "said"),
    [
        (["distance.reference={here}"], 40, "distance=none: names no network whose features"),
        (
            ["distance=tiny_clip"],
            40,
            "distance.reference=None: distance=tiny_clip needs pictures to compare with",
        ),
        (
            ["distance=tiny_clip", "distance.reference={here}"],
            19,
            "this run draws 19 pictures, of at least 20 that a distance needs",
        ),
        (
            ["distance=tiny_clip", "distance.reference={here}/0.png"],
            40,
            "0.png: has 1 pictures, of at least 20",
        ),
        (
            ["distance=tiny_clip", "distance.reference=nowhere"],
            40,
            "reference=nowhere: contains neither pictures",
        ),
        (
            ["distance=tiny_clip", "distance.path=nowhere", "distance.reference={here}"],
            40,
            "distance.path=nowhere: no model is there",
        ),
        (
            ["distance=tiny_clip", "distance.reference={here}", "distance.engine=fid"],
            40,
            "distance.engine=fid: is not one of the choices",
        ),
    ],
    ids=["features", "reference", "few", "one", "nowhere", "weights", "engine"],
)
def test_what_could_not_be_told_is_refused_before_the_run(
    overrides: list[str], rows: int, said: str, reference: Path
):
    with pytest.raises(UserError) as refused:
        check(composed(*(one.format(here=reference) for one in overrides)), rows)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("field", "column"),
    [(REFERENCE, "distance.image"), ("pictures", "--image")],
    ids=["key", "word"],
)
def test_what_was_typed_is_named(field: str, column: str, tmp_path: Path):
    with pytest.raises(UserError, match=rf"^{field}=nowhere: contains neither pictures nor"):
        list(Pictures("nowhere", field).batches())
    (tmp_path / "t.csv").write_text("id,file\n1,a.png\n")
    with pytest.raises(UserError, match=rf"^{column}=None: the table has neither a column image"):
        list(Pictures(str(tmp_path / "t.csv"), field).batches())
    with pytest.raises(UserError, match=rf"^{column}=fil: is not a column of the table"):
        list(Pictures(str(tmp_path / "t.csv"), field, "fil").batches())


def test_several_pictures_a_row_count(reference: Path):
    asked = ["distance=tiny_clip", f"distance.reference={reference}", "model.images_per_prompt=2"]
    check(composed(*asked), 10)
    check(composed(), 1)
