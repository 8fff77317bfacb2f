"""Several scorers of one run: how they are said, and what each has of its own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.configs import composed
from helpers.written import batch, writer

from imagepipe import resources, scoring
from imagepipe.cli.checks import config_dir
from imagepipe.cli.composing import composed as composed_with
from imagepipe.config import Config, Scorer, with_defaults
from imagepipe.errors import UserError
from imagepipe.execution import manifest
from imagepipe.execution.calibration import with_stand_ins
from imagepipe.reports.comparison import objective
from imagepipe.resources.machine import Machine, Node
from imagepipe.scoring.stage import stage
from imagepipe.sink import results, resume
from imagepipe.sink.ledger import Ledger
from imagepipe.sink.rows import scores as row_scores
from imagepipe.sources import scan
from imagepipe.stages.stage import BatchSizeBackoff, apply
from imagepipe.store import Store

TWO = "scorer=[tiny_clip,clip]"
PRESETS = {
    "first.yaml": "# @package scorer.first\nname: first\nengine: clip\npath: asset:tiny_clip\n",
    "again.yaml": "# @package scorer.again\nname: again\nengine: clip\npath: ./copy\n",
    "picky.yaml": "# @package scorer.picky\nname: picky\nengine: custom\n"
    "_target_: helpers.failing_engines.Scorer\n",
    "twin.yaml": "# @package scorer.twin\nname: first\nengine: clip\npath: asset:tiny_clip\n",
    "copied.yaml": "# @package scorer.first\nname: first\nengine: clip\npath: ./copy\n",
    "homeless.yaml": "name: homeless\nengine: clip\npath: asset:tiny_clip\n",
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with presets of a person's own."""
    (tmp_path / "presets" / "scorer").mkdir(parents=True)
    for name, text in PRESETS.items():
        (tmp_path / "presets" / "scorer" / name).write_text(text)
    return tmp_path / "presets"


# --- how they are said


def test_each_preset_says_its_place():
    for file in (config_dir() / "scorer").glob("*.yaml"):
        place = {"none": "scorer", "auto": "scorer.tiny_clip"}.get(file.stem, f"scorer.{file.stem}")
        assert file.read_text().startswith(f"# @package {place}\n")


@pytest.mark.parametrize(
    ("overrides", "paths"),
    [
        pytest.param(["scorer.path=x"], {"tiny_clip": "x"}, id="of-one"),
        pytest.param(["scorer.tiny_clip.path=x"], {"tiny_clip": "x"}, id="by-name"),
        pytest.param([TWO, "scorer.clip.path=x"], {"tiny_clip": "asset:tiny_clip", "clip": "x"},
                     id="of-two"),
        pytest.param(["scorer=none", "scorer.name=mine", "scorer.engine=custom", "scorer.path=x"],
                     {"mine": "x"}, id="typed"),
        pytest.param(["scorer=[none,tiny_clip]"], {"tiny_clip": "asset:tiny_clip"}, id="none"),
        pytest.param(["scorer=[auto]", "model=noop"], {}, id="auto"),
        pytest.param(["+scorer.options.k=1", "scorer.path=x"], {"tiny_clip": "x"}, id="options"),
    ],
)  # fmt: skip
def test_the_only_scorer_needs_no_name(overrides: list[str], paths: dict[str, str]):
    assert {name: one.path for name, one in composed(*overrides).scorer.items()} == paths


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        pytest.param([TWO, "scorer.path=x"], "scorer.path=x: could belong to any of the scorers "
                     "tiny_clip, clip. Name one: scorer.tiny_clip.path=",
                     id="whose"),
        pytest.param(["scorer.clip.path=x"], "To have it too: scorer=[tiny_clip,clip]", id="no"),
        pytest.param([TWO, "scorer.clip.pth=x"], 'Did you mean "scorer.clip.path"?', id="key"),
        pytest.param(["scorer.pth=x"], 'Did you mean "scorer.path"?', id="flat-key"),
        pytest.param([TWO, "scorer.clip.name=tiny_clip"], "is the name of another", id="same"),
        pytest.param([TWO, "scorer.clip.name=a b"], "Use letters, digits", id="signs"),
        pytest.param([TWO, "resources.scorer.clop.pool=1"], 'mean "resources.scorer.clip"?',
                     id="share"),
        pytest.param([TWO, "resources.scorer.clip.pol=1"], 'mean "resources.scorer.clip.pool"?',
                     id="share-key"),
        pytest.param([TWO, "resources.scorer.clip.pool=-1"], "resources.scorer.clip.pool=-1",
                     id="share-limit"),
        pytest.param([TWO, "sweep.objective=score", "sweep.score=pickscore"],
                     "There are tiny_clip (column score_tiny_clip), clip (column score_clip)",
                     id="score"),
        pytest.param([TWO, "+scorer.clip.options.api_key=x"], "looks like a secret", id="secret"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(overrides: list[str], said: str):
    with pytest.raises(UserError) as refused:
        composed(*overrides)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        pytest.param("[first,twin]", "is the name of another scorer", id="one-name"),
        pytest.param(
            "[first,first]", "scorer=[first,first]: are 2 names for 1: two files", id="twice"
        ),
        pytest.param("[first,copied]", "# @package scorer.NAME", id="one-place"),
        pytest.param("[first,homeless]", "# @package scorer.homeless", id="no-place"),
        pytest.param("[homeless]", "# @package scorer.homeless", id="no-place-alone"),
    ],
)
def test_presets_that_would_be_one_scorer_are_refused(own: Path, choice: str, said: str):
    with pytest.raises(UserError) as refused:
        composed_with([f"scorer={choice}"], str(own))
    assert said in str(refused.value)


def test_a_preset_that_says_no_place_is_the_only_one(own: Path):
    assert list(composed_with(["scorer=homeless"], str(own)).scorer) == ["homeless"]


@pytest.mark.parametrize(
    ("recorded", "overrides"),
    [
        pytest.param({"name": "clip", "engine": "clip", "path": "x"},
                     ["scorer=clip", "scorer.path=x", "scorer.revision=null"], id="one"),
        pytest.param({"name": "none", "engine": "none"}, ["scorer=none"], id="none"),
        pytest.param({"name": "tiny_clip", "engine": "none", "path": "asset:tiny_clip"},
                     ["model=noop"], id="auto"),
    ],
)  # fmt: skip
def test_a_run_of_before_can_be_resumed(
    recorded: dict[str, str], overrides: list[str], tmp_path: Path
):
    now = manifest.of(composed(*overrides), [], [])
    before = manifest.Record(**asdict(now) | {"config": now.config | {"scorer": recorded}})
    manifest.check(before, now, tmp_path)
    others = manifest.of(composed(TWO, *(o for o in overrides if "model" in o)), [], [])
    with pytest.raises(UserError, match=r"scorer\.(tiny_)?clip"):
        manifest.check(before, others, tmp_path)


def test_what_was_recorded_of_several_comes_back():
    two = composed(TWO)
    assert with_defaults(asdict(two))["scorer"] == asdict(two)["scorer"]


# --- what each has of its own


def test_each_has_a_stage_with_columns_and_a_share():
    config = composed(TWO, "resources.scorer.batch_size=4", "resources.scorer.clip.batch_size=2")
    assert [score.column for score in config.scores] == ["score_tiny_clip", "score_clip"]
    shares, why = resources.resolve(config, Machine((Node(8, 0),)), 100)
    pools = dict(resources.pools(config, shares))
    assert list(pools) == ["llm", "model", "scorer_tiny_clip", "scorer_clip"]
    assert [pools[stage].batch_size for stage in list(pools)[2:]] == [4, 2]
    assert all(share.num_cpus > 0 and share.pool > 0 for share in pools.values())
    assert "scorer_clip 2 x" in why
    added = stage(config.scorer["clip"], 2, "scorer_clip").adds
    assert added.names == ["score_clip", "scorer_clip_error"]


def test_a_share_that_does_not_fit_is_named_as_it_is_typed():
    config = composed(TWO, "resources=cpu", "resources.scorer.clip.num_cpus=8")
    with pytest.raises(UserError) as refused:
        resources.resolve(config, Machine((Node(2, 0),)), 100)
    assert refused.value.field == "resources.scorer.clip.num_cpus"


def test_both_get_a_part_of_a_gpu():
    shares, _ = resources.resolve(composed(TWO), Machine((Node(8, 1),)), 100)
    both = [shares.scorers[f"scorer_{name}"].num_gpus for name in ("tiny_clip", "clip")]
    assert both[0] == both[1] > 0
    assert sum(share.num_gpus for share in shares.shares().values()) <= 1


def test_one_that_cannot_be_measured_is_stood_in_for_alone():
    config = with_stand_ins(composed(TWO), ["scorer_clip"])
    assert [one.engine for one in config.scorer.values()] == ["clip", "none"]
    assert list(config.sections)[2:] == ["scorer_tiny_clip", "scorer_clip"]


def test_a_broken_one_is_named_before_the_run(tmp_path: Path):
    for one_of, field in ((1, "scorer.path"), (2, "scorer.mine.path")):
        with pytest.raises(UserError) as refused:
            scoring.check(Scorer("mine", "clip", str(tmp_path / "none")), one_of)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("aim", "value"),
    [
        pytest.param([], 0.3, id="first"),
        pytest.param(["sweep.score=clip"], -2.0, id="name"),
        pytest.param(["sweep.score=score_clip"], -2.0, id="column"),
    ],
)
def test_the_score_that_decides_is_the_first_or_the_one_that_is_named(aim: list[str], value: float):
    config = composed(TWO, "sweep.objective=score", *aim)
    scores = {"clip": {"mean": -2.0}, "tiny_clip": {"mean": 0.3}}
    rates = {"steady": 1.0, "end_to_end": 1.0}
    summary = {"images_per_s": rates, "scores": scores, "score_columns": config.score_columns}
    assert objective(config.sweep, summary) == value


# --- what is written


def scored(prompts: list[str]) -> tuple[Config, pa.Table]:
    """Rows with those prompts, past two scorers of which `a` fails as the helper does."""
    target = "helpers.failing_engines.Scorer"
    mine = {name: Scorer(name, "custom", _target_=target) for name in ("a", "b")}
    config, rows = Config(scorer=mine), batch([f"r{i}" for i in range(len(prompts))])
    for name, score in mine.items():
        place = rows.schema.get_field_index("prompt")
        asked = prompts if name == "a" else ["fine"] * len(prompts)
        rows = rows.set_column(place, "prompt", [asked])
        one = stage(score, 1, f"scorer_{name}")
        rows = apply(one, BatchSizeBackoff(one.recipe()), rows)
    return config, rows


def test_one_that_fails_leaves_the_picture_and_the_other_score(tmp_path: Path):
    config, rows = scored(["a cat", "a cursed cat"])
    ledger = Ledger(rows_read=2)
    ledger.add(writer(tmp_path / "out", config.scores)(rows))
    assert ledger.adds_up and ledger.written == 2
    assert ledger.unscored == {"a: ValueError: this prompt is cursed": 1}
    assert {name: scores.count for name, scores in ledger.scores.items()} == {"a": 1, "b": 2}
    table = pq.read_table(tmp_path / "out" / "table")
    assert table["score_a"].to_pylist() == [1.0, None]
    assert table["score_b"].to_pylist() == [1.0, 1.0]
    assert table["scorer_b_error"].null_count == 2

    (tmp_path / "t.csv").write_text("id,what\nr0,a\nr1,b\n")
    data = composed("dataset=csv", f"dataset.path={tmp_path}/t.csv", "dataset.prompt='{what}'")
    store, tables = Store(str(tmp_path / "out")), scan(data.dataset, None)
    done = resume.take_in(store, tables, "id", retry_failed=False, scores=config.scores)
    again = done.ledger(2, 1)
    assert again.unscored == ledger.unscored
    assert {name: scores.count for name, scores in again.scores.items()} == {"a": 1, "b": 2}


def test_the_best_and_the_worst_are_found_by_each(tmp_path: Path):
    values = {"x": [0.0, 1, 2, 3], "y": [5.0, 9, None, 7]}
    rows = {"id": list("abcd"), "base_prompt": list("abcd"), "prompt": list("abcd")}
    rows |= {"seed": [1, 2, 3, 4], "image": [{"bytes": b"png", "path": "p"}] * 4}
    (tmp_path / "table").mkdir()
    pq.write_table(pa.table({**rows, **{f"score_{n}": v for n, v in values.items()}}),
                   tmp_path / "table" / "part-0.parquet")  # fmt: skip
    columns = {name: f"score_{name}" for name in values}
    found = results.to_show(Store(str(tmp_path)), "id", most=1, scores=columns, extremes=1)
    assert [picture.id for picture in found] == ["a", "b", "d"]
    assert found[0].scores == {"x": 0.0, "y": 5.0}
    assert row_scores(Store(str(tmp_path)), "id", "score_y") == {"a": 5, "b": 9, "d": 7}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the embedded scorer under two names, and one of a person's own."""
    import shutil

    from imagepipe.assets import folder

    home = tmp_path_factory.mktemp("several")
    shutil.copytree(folder("asset:tiny_clip"), home / "copy")
    chosen = ["scorer=[tiny_clip]", "scorer.tiny_clip.name=first"]
    again = {"name": "again", "engine": "clip", "path": str(home / "copy")}
    picky = {"name": "picky", "engine": "custom", "_target_": "helpers.failing_engines.Scorer"}
    for one in (again, picky):
        chosen.append(f"+scorer.{one['name']}={{{','.join(f'{k}: {v}' for k, v in one.items())}}}")
    small = ["llm=none", "model=noop", "limit=12", "tracking=none"]
    return one_session.run(home, "out", *small, *chosen)


def test_a_run_has_the_scores_of_all(several: Path):
    rows = pq.read_table(several / "table").to_pylist()
    assert len(rows) == 12
    assert all(row["score_first"] == pytest.approx(row["score_again"], rel=1e-4) for row in rows)
    assert {row["score_picky"] for row in rows} == {1.0}
    said = json.loads((several / "summary.json").read_text())
    names = ["first", "again", "picky"]
    assert list(said["scores"]) == list(said["score_columns"]) == names
    assert said["score_limits"] == {"first": [-100, 100], "again": [-100, 100]}
    assert said["scores"]["first"]["mean"] == pytest.approx(said["scores"]["again"]["mean"])
    assert all(said["stages"][f"scorer_{name}"]["rows"] == 12 for name in names)
    assert all(said["stages"][f"scorer_{name}"]["busy_s"] > 0 for name in names)
    page = (several / "gallery.html").read_text()
    assert all(f"Best {name} first" in page for name in names)
