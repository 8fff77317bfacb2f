"""Blind votes, from the keys of a real Chromium to MLflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.compared import BLUE, GREEN, RED, Made, swept_into
from helpers.tracked import with_database
from mlflow import MlflowClient

from imagepipe import tracking
from imagepipe.cli import votes
from imagepipe.config import Tracking
from imagepipe.reports import comparison

ROWS = [str(place) for place in range(20)]
COLORS = {"1": RED, "2": GREEN, "3": BLUE}  # of whose pictures the red ones are preferred


def recorded(home: Path) -> Path:
    """A sweep of three jobs that is in MLflow, as it was when it ended."""
    outputs, folder = with_database(home / "outputs"), home / "sweep"
    made = [
        Made({"a": name}, 1.0, None, color, ROWS, scores=[int(name)] * 20, ids=ROWS, side=64)
        for name, color in COLORS.items()
    ]
    swept_into(folder, made)
    parent = None
    for place in (folder, *(folder / str(number) for number in range(3))):
        tracker = tracking.start(
            Tracking(name="mlflow", backend="mlflow", system_metrics=False),
            outputs=outputs,
            folder=place,
            params={},
            tags={},
            datasets=[],
            config_yaml="",
            parent=parent,
        )
        tracker.finish("FINISHED", summary={}, pictures=[], folder=place, note=None)
        parent = parent or tracker.as_parent
    return folder


@pytest.mark.browser
def test_forty_votes_by_keyboard_reach_mlflow(browser, tmp_path, capsys):
    folder = recorded(tmp_path)
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.goto((folder / comparison.PAGE).as_uri())
    page.select_option("#vote-a", "0")  # of the red ones against all others: 40 questions
    left, right = (page.locator(f'#ballot [data-part="{side}"] img') for side in ("left", "right"))
    for number in range(40):
        if number == 20:  # it goes on where it was left
            page.reload()
            assert page.inner_text("#voted") == "20"
            page.select_option("#vote-a", "0")
        keys = [
            key
            for key, image in (("ArrowLeft", left), ("ArrowRight", right))
            if image.get_attribute("src").startswith("comparison_pictures/0/")
        ]
        page.keyboard.press("ArrowDown")  # neither; then on second thoughts
        page.keyboard.press("Backspace")
        page.keyboard.press(keys[0])
    assert page.inner_text('#ballot [data-part="count"]') == "40 votes so far, 0 left"
    assert "a=" not in page.inner_text("#ballot")  # no job is named
    with page.expect_download() as download:
        page.click('[data-part="export"]')
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    context.close()

    assert len({side["left"] for side in json.loads(file.read_text())["votes"]}) == 3
    assert votes.main([str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("votes      40. Preferred is a=1: expected to win ")
    assert "agreement  clip on 0 % (" in said
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("imagepipe").experiment_id
    runs = client.search_runs([experiment], order_by=["attribute.start_time ASC"])
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    parent, first, *_ = [run.data.metrics for run in runs]
    assert (parent["votes"], parent["votes/agreement/clip"]) == (40.0, 0.0)
    assert first["votes/win_rate"] == 1.0
    assert 0.8 < first["votes/bradley_terry"] < 1.0
    files = [file.path for file in client.list_artifacts(runs[0].info.run_id)]
    assert {comparison.PAGE, f"{file.stem.removeprefix('votes-')}.json"} <= set(files)


def test_votes_that_are_refused_change_nothing(tmp_path, capsys):
    folder = tmp_path / "sweep"
    swept_into(folder, [Made({"a": n}, 1.0, 0.5, RED, side=8) for n in "12"])
    page = (folder / comparison.PAGE).read_bytes()
    given = {"imagepipe_votes": 1, "of": "s", "voter": "x", "folder": str(folder)}
    given["votes"] = [{"row": "r0", "left": "a=1", "right": "a=2", "better": "left"}]
    cases = {
        "other": ({**given, "of": "t"}, "is of another comparison, 't'; this is 's'"),
        "gone": ({**given, "folder": "/no/where"}, "is of the comparison in /no/where, which is"),
        "edited": ({**given, "votes": [{}]}, "lacks row, left, right, better in vote 1"),
        "text": ("x", "is not a file exported by a comparison's page"),
    }
    right = tmp_path / "right.json"
    right.write_text(json.dumps(given))
    for name, (content, said) in cases.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content))
        assert votes.main([str(file), str(right)]) == 2
        assert capsys.readouterr().err.startswith(f"imagepipe: FILE={file}: {said}")
    assert votes.main([str(right), "--of", str(tmp_path)]) == 2
    assert "holds no comparison" in capsys.readouterr().err
    assert not (folder / "votes").exists()
    assert (folder / comparison.PAGE).read_bytes() == page
