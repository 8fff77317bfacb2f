"""Pictures that exist get scores: as those of a run, once each, beside what the table has."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.configs import composed
from helpers.s3_server import S3
from helpers.written import batch, writer
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imagepipe.cli.score import folder_name, main
from imagepipe.config import Score, Scorer, Scoring
from imagepipe.errors import RunFailed, UserError
from imagepipe.execution import manifest, place, rescore
from imagepipe.scoring.stage import stage
from imagepipe.sink import rescored, sweeps
from imagepipe.sink.lock import RunLock, acquire
from imagepipe.sink.parts import written_parts
from imagepipe.sources import pictures
from imagepipe.sources.pictures import Existing
from imagepipe.stages.stage import apply
from imagepipe.store import Store

LIGHT = "helpers.lightness.Lightness"
MINE = Scorer("light", "custom", _target_=LIGHT)
SCORE = Score("light", "scorer_light")
FROM_RUN = (Score("first", "scorer"),)
TYPED = ["scorer=none", "scorer.name=light", "scorer.engine=custom", f"scorer._target_={LIGHT}"]
OTHER = ["scorer.options={louder: true}"]
IDS = ["a", "b", "c", "d", "e"]


def drawn(folder: Path, each: int = 1, place: Store | None = None, **sink: bool) -> Store:
    """What a run leaves whose scorer was `light` too, in two parts; in `place`, or its folder."""
    store = place or Store(str(folder))
    one = stage(replace(MINE, name="first"), each)
    for ids in (IDS[:3], IDS[3:]):
        own = replace(writer(folder, FROM_RUN, **sink), store=store)
        own(apply(one, one.recipe(), batch(ids, each=each)))
    return store


def lock_of(store: Store) -> RunLock:
    lock = RunLock(store, ".claims/claim")
    lock.store.write(lock.name, b"")
    return lock


def keep(store: Store, chunks: list[rescored.Chunk], lock: RunLock) -> None:
    """Score `chunks` as the pipeline does, in this process."""
    one = stage(MINE, 1, SCORE.stage)
    for chunk in chunks:
        rows = apply(one, one.recipe(), rescored.read(as_table(chunk), store, "prompt", ["prompt"]))
        seconds = pa.array([0.1] * len(rows), pa.float32())
        rows = rows.append_column(f"{SCORE.stage}_s", seconds)
        assert rescored.ScoreWriter(store, (SCORE,), lock)(rows)["rows"].to_pylist() == [len(rows)]


def as_table(chunk: rescored.Chunk) -> pa.Table:
    return pa.Table.from_pylist([asdict(chunk)])


def table(store: Store) -> list[dict]:
    parts = [pq.read_table(store.open(part)) for part in written_parts(store)]
    return pa.concat_tables(parts).to_pylist()


# --- the columns


@pytest.mark.parametrize(
    "sink",
    [
        pytest.param({}, id="files"),
        pytest.param({"png": False, "image_bytes": True}, id="bytes"),
        pytest.param({"png": False, "webdataset": True}, id="shards"),
    ],
)
@pytest.mark.parametrize("each", [1, 2])
def test_scores_are_those_that_the_run_gave(tmp_path: Path, sink: dict[str, bool], each: int):
    store = drawn(tmp_path / "out", each, **sink)
    before, lock = table(store), lock_of(store)
    keep(store, rescored.left(store, [SCORE], 2), lock)
    rescored.merge(store, [SCORE], lock)
    after = table(store)
    assert [row["score_light"] for row in after] == [row["score"] for row in before]
    assert len({row["score_light"] for row in after}) > 1
    new = {"score_light", "scorer_light_error", "scorer_light_s"}
    assert [{k: v for k, v in row.items() if k not in new} for row in after] == before
    assert set(after[0]) == set(before[0]) | new
    found, unscored = rescored.figures(store, [SCORE, *FROM_RUN])
    assert found["light"].figures() == found["first"].figures()
    assert not unscored and not store.parts(".scored")


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_each_picture_is_scored_once_however_it_was_ended(where: str, tmp_path: Path, s3: S3):
    store = Store(f"{s3.bucket()}/run" if where == "s3" else str(tmp_path / "out"))
    drawn(tmp_path / "out", place=store)
    lock, whole = lock_of(store), rescored.left(store, [SCORE], 2)
    one = next(chunk for chunk in whole if len(chunk.places) == 1)  # the rest of a part of three
    keep(store, [one], lock)
    left = rescored.left(store, [SCORE], 9)
    [first] = [chunk for chunk in left if chunk.part == one.part]
    others = [chunk for chunk in left if chunk != first]
    assert first.places == [0, 1] and len(others) == 1
    rescored.merge(store, [SCORE], lock)  # none is whole, so none is changed
    assert "score_light" not in table(store)[0]
    keep(store, [first], lock)
    rescored.merge(store, [SCORE], lock)  # killed before the other part
    assert rescored.left(store, [SCORE], 9) == others
    keep(store, others, lock)
    lock.end()
    with pytest.raises(RunFailed, match="has ended"):
        rescored.merge(store, [SCORE], lock)
    rescored.merge(store, [SCORE], lock_of(store))
    assert rescored.left(store, [SCORE], 9) == []
    assert all(row["score_light"] == row["score"] for row in table(store))


def png(shade: int, side: int = 8, **texts: str) -> bytes:
    info, buffer = PngInfo(), io.BytesIO()
    for key, text in texts.items():
        info.add_itxt(key, text)
    image = Image.fromarray(np.full((side, side, 3), shade, np.uint8))
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_what_is_no_picture_has_no_score_and_says_why(tmp_path: Path):
    store, cells = Store(str(tmp_path / "out")), [png(10), b"no picture", None, png(40, 16), png(5)]
    images = [cell and {"bytes": cell, "path": None} for cell in cells]
    prompts = ["ab", "ab", "ab", "abc", None]
    (tmp_path / "out" / "table").mkdir(parents=True)
    rows = pa.table({"prompt": prompts, "image": pa.array(images, pictures.IMAGE)})
    pq.write_table(rows, tmp_path / "out" / "table" / "part.parquet")
    lock = lock_of(store)
    keep(store, rescored.left(store, [SCORE], 9), lock)
    rescored.merge(store, [SCORE], lock)
    rows = table(store)
    assert [row["score_light"] for row in rows] == [8, None, None, 37, None]
    said = [row["scorer_light_error"] for row in rows]
    assert said[1].startswith("the picture cannot be read (UnidentifiedImageError")
    assert (said[0], *said[2:]) == (None, "the picture is not there", None, "it has no prompt")
    assert rescored.figures(store, [SCORE])[1].total() == 3
    [part] = store.parts("table")
    alone = as_table(rescored.Chunk(part, [4]))
    [row] = rescored.read(alone, store, "prompt", ["prompt"], asked=False).to_pylist()
    assert (row["prompt"], row["failed_reason"]) == ("", None)


# --- the command, where all was scored before it was killed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_run(folder: Path) -> Store:
    """A run's folder, with its record and its summary."""
    store = drawn(folder)
    config = composed("tracking=none", "scorer=none", "scorer.name=first", *TYPED[2:])
    record = manifest.of(config, [], [], folder)
    (folder / "run.json").write_text(manifest.to_json(record))
    summary = {"status": "FINISHED", "written": 5, "score_columns": {"first": "score"},
               "samples": {"id": "id", "ids": IDS}, "images_per_s": {}}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return store


def test_a_gallery_still_names_the_stages_that_changed_the_pictures(home: Path):
    kept(a_run(home / "out"))
    record = json.loads((home / "out" / "run.json").read_text())
    larger = {"_target_": "not.here.Larger", "name": "larger", "after": "model"}
    record["config"]["stages"] = [larger, larger | {"name": "other", "_target_": "not.here.Other"}]
    (home / "out" / "run.json").write_text(json.dumps(record))
    summary = json.loads((home / "out" / "summary.json").read_text()) | {"changed_by": ["larger"]}
    (home / "out" / "summary.json").write_text(json.dumps(summary))
    assert main(["out", "tracking=none", *TYPED]) == 0
    page = (home / "out" / "gallery.html").read_text()
    assert "not.here.Larger" in page and "not.here.Other" not in page


def said_of(config: Scoring) -> dict[str, Any]:
    return {name: rescore.said(one, "prompt") for name, one in config.scorer.items()}


def kept(store: Store) -> None:
    """All is scored of what is there, and not yet in the table."""
    config = Scoring.of(composed("tracking=none", *TYPED))
    rescored.check_names(store, said_of(config), config.judged)
    keep(store, rescored.left(store, config.judged, 9), lock_of(store))


def test_a_run_gets_the_score_in_its_table_summary_and_gallery(home: Path, capsys):
    store = a_run(home / "out")
    kept(store)
    assert main(["out", "tracking=none", *TYPED]) == 0
    assert all(row["score_light"] == row["score"] for row in table(store))
    said = json.loads((home / "out" / "summary.json").read_text())
    assert said["score_columns"] == {"first": "score", "light": "score_light"}
    assert said["scores"]["light"] == said["scores"]["first"]
    assert said["score_limits"] == {"light": [None, 255]}
    assert said["written"] == 5
    page = (home / "out" / "gallery.html").read_text()
    assert "Best light first" in page and "Worst first first" in page
    assert main(["out", "tracking=none", *TYPED]) == 0
    assert "nothing left to score" in capsys.readouterr().err


def test_a_scorer_that_scored_nothing_keeps_no_name_and_one_that_did_does(home: Path):
    store = a_run(home / "out")
    one, other = (Scoring.of(composed("tracking=none", *TYPED, *more)) for more in ([], OTHER))
    rescored.check_names(store, said_of(one), one.judged)
    rescored.check_names(store, said_of(other), other.judged)  # the first broke as it loaded
    keep(store, rescored.left(store, other.judged, 9), lock_of(store))
    with pytest.raises(UserError, match=r"the table already has scores with that name"):
        rescored.check_names(store, said_of(one), one.judged)


def test_the_same_command_goes_on_where_no_folder_is_named(home: Path):
    (home / "mine").mkdir()
    (home / "mine" / "a.png").write_bytes(png(10, prompt="a cat"))
    first, again, other = (
        folder_name(path, prompt)
        for path, prompt in (("mine", None), (str(home / "mine"), None), ("mine", "what"))
    )
    assert first == again != other
    assert re.fullmatch(r"mine-[0-9a-f]{8}", first)


def test_a_folder_of_pictures_gets_a_table(home: Path):
    (home / "mine" / "deep").mkdir(parents=True)
    (home / "mine" / "a.png").write_bytes(png(10, prompt="a cat"))
    (home / "mine" / "deep" / "b.png").write_bytes(png(20))
    (home / "mine" / "broken.png").write_bytes(b"no picture")
    (home / "mine" / "notes.txt").write_text("no picture")
    out = Store(str(home / "out"))
    place.make(out, Existing("mine"))
    out.write(place.MADE, out.read(place.MADE).replace(b"true", b"false"))  # as if it was killed
    place.make(out, Existing("mine"))
    assert json.loads(out.read(place.MADE))["whole"]
    kept(Store(str(home / "out")))
    assert main(["mine", "--out=out", "tracking=none", *TYPED]) == 0
    rows = {row["id"]: row for row in table(Store(str(home / "out")))}
    assert {name: row["score_light"] for name, row in rows.items()} == {
        "a.png": 5.0, "broken.png": None, "deep/b.png": None,
    }  # fmt: skip
    said = json.loads((home / "out" / "summary.json").read_text())
    assert (said["pictures"], said["unscored"]) == (3, 2)
    assert said["scores"]["light"]["mean"] == 5.0
    (home / "other").mkdir()
    (home / "other" / "a.png").write_bytes(png(10, prompt="a cat"))
    with pytest.raises(UserError, match=r"--out=.*: already holds the scores of .*mine"):
        rescore.score(composed(*TYPED), "other", home / "out", Existing("other"))


@pytest.mark.parametrize("form", ["csv", "parquet", "bytes"])
def test_a_table_of_pictures_keeps_its_columns(home: Path, form: str):
    (home / "pictures").mkdir()
    (home / "pictures" / "a.png").write_bytes(png(10))
    columns = {"file": ["pictures/a.png"], "what": ["a cat"], "more": ["007"]}
    if form == "csv":
        (home / "t.csv").write_text("file,what,more\npictures/a.png,a cat,007\n")
    elif form == "bytes":
        columns["file"] = [png(10)]
    if form != "csv":
        pq.write_table(pa.table(columns), home / "t.parquet")
    [rows] = Existing("t.csv" if form == "csv" else "t.parquet", "what", "file").blocks()
    assert rows["prompt"].to_pylist() == ["a cat"]
    assert rows["more"].to_pylist() == ["007"]
    Store(str(home)).write("table/part.parquet", b"")
    pq.write_table(rows, home / "table" / "part.parquet")
    chunk = rescored.Chunk("table/part.parquet", [0])
    read = rescored.read(as_table(chunk), Store(str(home)), "prompt", ["prompt"])
    assert read["image"].to_pylist() == [{"pixels": bytes([10]) * 192, "height": 8, "width": 8}]


# --- what cannot be scored


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param(["nowhere"], "score=nowhere: does not exist", id="absent"),
        pytest.param(["empty"], "contains neither pictures nor a table", id="empty"),
        pytest.param(["silent"], "--prompt=None: there are no prompts", id="no-prompts"),
        pytest.param(["silent", "--prompt=what"], "a folder of pictures has none", id="folder"),
        pytest.param(["t.csv"], "neither a column image nor image_path", id="no-image"),
        pytest.param(["t.csv", "--image=file", "--prompt=why"], "--prompt=why: is not a column",
                     id="no-column"),
        pytest.param(["t.csv", "--image=file"], "--prompt=None: there are no prompts", id="which"),
        pytest.param(
            ["silent", "model.steps=3"], "model.steps=3: has no effect on existing", id="key"
        ),
        pytest.param(["run", "scorer.path=x"], "scores with that name, from another",
                     id="other-scorer"),
        pytest.param(["run", "scorer.name=first"], ", from the run itself. Give this one another",
                     id="name-of-the-run"),
        pytest.param(["begun"], "is a run that has not ended", id="not-ended"),
        pytest.param(["sweep"], "Name one of them, such as", id="sweep"),
        pytest.param(["run", "--prompt=none"], "--prompt=none: there are no prompts", id="column"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(home: Path, typed: list[str], said: str, capsys):
    for name in ("empty", "silent", "pictures"):
        (home / name).mkdir()
    (home / "silent" / "a.png").write_bytes(png(10))
    (home / "pictures" / "a.png").write_bytes(png(10))
    (home / "t.csv").write_text("file,what\npictures/a.png,a cat\n")
    if typed[0] == "run":
        store = a_run(home / "run")
        kept(store)
    if typed[0] == "sweep":
        (home / "sweep").mkdir()
        (home / "sweep" / sweeps.RECORD).write_text("{}")
    if typed[0] == "begun":
        a_run(home / "begun")
        (home / "begun" / "summary.json").unlink()
    own = [] if "scorer.name=first" in typed else TYPED[1:2]
    target, *more = typed
    common = ["tracking=none", "--out=new", TYPED[0], *own, *TYPED[2:]]
    assert main([target, *common, *more]) == 2
    assert said in capsys.readouterr().err
    assert not (home / "new").exists()


def test_no_scorer_is_chosen_for_a_person(home: Path, capsys):
    (home / "a.png").write_bytes(png(10, prompt="a cat"))
    assert main(["a.png", "tracking=none"]) == 2
    assert "scorer=" in capsys.readouterr().err


def test_a_run_that_is_being_written_is_refused(home: Path, capsys):
    store = a_run(home / "run")
    with acquire(home / "run", store, manifest.read(home / "run").id):
        assert main(["run", "tracking=none", *TYPED]) == 2
    assert "is being written by another command right now" in capsys.readouterr().err


def test_a_column_called_image_may_hold_paths_of_which_some_are_gone(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table").mkdir()
    Path("table/t.csv").write_text("image,prompt\ngone.png,a\nb.png,b\n")
    Image.new("RGB", (8, 8)).save("b.png")  # beside the table's folder, as a run has it
    [rows] = Existing("table/t.csv", "prompt").blocks()
    assert rows["input_image"].to_pylist() == ["gone.png", "b.png"]
    assert [Path(path).exists() for path in rows["image_path"].to_pylist()] == [False, True]
    assert "image" not in rows.column_names


def test_a_column_that_only_the_scorer_asks_for_is_missed(home: Path, capsys):
    (home / "a.png").write_bytes(png(10, prompt="a cat"))
    assert main(["a.png", "tracking=none", "scorer=toyworld", "--out=new"]) == 2
    assert capsys.readouterr().err.startswith(
        "imagepipe: scorer=toyworld: asks for the column animal, and there is none. Score a table"
    )
    assert not (home / "new").exists()
