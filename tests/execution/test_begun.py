"""What stands in a run's folder, and when: nothing before the run can no longer be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from helpers.command import FAST
from helpers.configs import composed

from imagepipe.config import Dataset
from imagepipe.errors import Interrupted, RunFailed, UserError
from imagepipe.execution import manifest
from imagepipe.execution.prepare import Ready, prepared
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.shell import resume_command
from imagepipe.sink.lock import leaving_nothing

REFUSED = UserError(field="ray.address", value="x:1", problem="no Ray is there", remedy="Start it.")


@pytest.mark.parametrize("place", [None, "new/place"], ids=["beside", "apart"])
@pytest.mark.parametrize(
    ("ended_by", "told"),
    [
        (REFUSED, UserError),
        (RunFailed("Ray did not start"), RunFailed),
        (KeyboardInterrupt(), Interrupted),
    ],
    ids=["refused", "failed", "interrupted"],
)
def test_what_ends_before_it_begins_leaves_nothing(
    tmp_path: Path,
    monkeypatch,
    place: str | None,
    ended_by: BaseException,
    told: type[BaseException],
):
    """As where Ray does not start, or a cluster's node does not find a file."""
    monkeypatch.chdir(tmp_path)
    config = composed(
        *FAST, "scorer=none", "tracking=none", *([f"sink.path={place}"] if place else [])
    )
    folder = tmp_path / "new" / "out"
    with (
        pytest.raises(told) as caught,
        leaving_nothing("hydra.run.dir", folder),
        prepared(config, folder, [], {"config.yaml": "a"}),
    ):
        raise ended_by
    assert "resume" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Stopped:
    """A section of the configuration at which Ctrl-C is pressed."""

    def __getattr__(self, _: str) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("of_sweep", [True, False])
def test_what_is_interrupted_while_its_table_is_scanned(tmp_path: Path, of_sweep: bool):
    """The folder of a sweep holds its jobs by then; a run has left nothing."""
    config = composed(*FAST, "scorer=none", "tracking=none")
    config.dataset = cast("Dataset", Stopped())
    job = SweepJob(0, {}, "s", None, tmp_path / "sweep") if of_sweep else None
    with pytest.raises(Interrupted) as caught, prepared(config, tmp_path / "out", [], {}, job):
        pass
    again = f"\n  resume with: {resume_command(tmp_path / 'sweep')}" if of_sweep else ""
    assert str(caught.value) == f"interrupted{again}"


def interrupted(ready: Ready) -> None:
    ready.begin()
    raise KeyboardInterrupt


def test_a_run_that_has_begun_says_by_what_and_how_to_resume_it(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = composed(*FAST, "scorer=none", "tracking=none", "sink.path=place")
    begun = prepared(config, tmp_path / "out", ["limit=3"], {"config.yaml": "a"})
    with pytest.raises(Interrupted, match=r"resume with: .* resume=out$"), begun as ready:
        interrupted(ready)
    record = manifest.read(tmp_path / "out")
    assert record.typed == ["limit=3"]
    assert (tmp_path / "out" / ".hydra" / "config.yaml").read_text() == "a"
    assert (tmp_path / "place" / ".run").read_text().startswith(record.id)
