"""One table knows the engines: a new one is a file of its own and a line in it."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import ROOT
from helpers.command import summary
from PIL import Image

from imagepipe import diffusion, llm, scoring
from imagepipe.config import LLM, Scorer
from imagepipe.errors import UserError
from imagepipe.execution.calibration import FOLDER
from imagepipe.scoring.features import PictureFeatures
from imagepipe.stages.engines import TABLE, Engine

SOURCE = ROOT / "src" / "imagepipe"
LINES = [
    pytest.param(kind, line, id=f"{kind}-{name}")
    for kind, lines in TABLE.items()
    for name, line in lines.items()
]
PROTOCOLS = {
    "llm": llm.Enhancer,
    "model": diffusion.ImageGenerator,
    "scorer": scoring.ImageScorer,
    "distance": PictureFeatures,
}


@pytest.mark.parametrize(("kind", "line"), LINES)
def test_whatever_a_line_names_is_there(kind: str, line: Engine):
    if line.works and not line.is_custom:
        made = resolve_name(line.made_by)
        parts = ("questions", "processor", "answers", "ASKS", "REPLIES")
        protocol = scoring.RowScorer if line.by_row else PROTOCOLS[kind]
        methods = [name for name, one in vars(protocol).items() if name[0] != "_" and callable(one)]
        assert all(hasattr(made, name) for name in (parts if line.processor else methods))
    for name in filter(None, (line.check, line.prompt_limit)):
        assert callable(resolve_name(name))
    for library in line.libraries:
        assert find_spec(library.partition(":")[0])


def test_no_module_asks_for_an_engine_by_its_name():
    allowed = {"auto"}  # which stands for another engine
    names = {name for lines in TABLE.values() for name in lines} - allowed
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and "engine" in ast.unparse(node.left)
        and any(
            isinstance(value, ast.Constant) and value.value in names
            for compared in node.comparators
            for value in ast.walk(compared)
        )
    ]
    assert found == []


def test_a_recipe_works_in_a_process_whose_table_lacks_the_line():
    TABLE["llm"]["passing"] = TABLE["llm"]["template"]
    try:
        recipe = pickle.dumps(llm.recipe(LLM("mine", "passing")))
    finally:
        del TABLE["llm"]["passing"]
    assert pickle.loads(recipe)().enhance(["a cat"], ["winter"], [1])[0].text.startswith("a cat, ")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param("nowhere.Thing", "cannot be imported (No module named 'nowhere')", id="gone"),
        pytest.param("os.path.join", "cannot be imported (it is not a class)", id="function"),
        pytest.param("my-package.Thing", "cannot be imported (invalid format", id="text"),
        pytest.param("imagepipe.config.Scorer", "lacks the methods load, score", id="methods"),
        pytest.param(None, "needs a class of your own", id="null"),
    ],
)
def test_a_class_of_ones_own_that_is_none_is_refused(target: str | None, said: str):
    with pytest.raises(UserError) as refused:
        scoring.check(Scorer("mine", "custom", _target_=target))
    assert refused.value.field == "scorer._target_"
    assert said in str(refused.value)


@pytest.fixture(scope="module")
def new_engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """What is said of them before a run, and its folder."""
    out = tmp_path_factory.mktemp("new_engines") / "out"
    command = [sys.executable, "-m", "helpers.new_engines", str(out)]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


@pytest.mark.faults
def test_new_engines_run_as_actors_with_shares_of_their_own(new_engines: tuple[dict, Path]):
    said, out = new_engines
    stages = {stage["name"]: stage for stage in said["plan"]["stages"]}
    assert {name: stage["runs"] for name, stage in stages.items()} == {
        "prompt": "tasks",
        **dict.fromkeys(("llm", "model", "scorer"), "actors"),
    }
    shares = summary(out)["resources"]
    for kind in ("llm", "model", "scorer"):
        assert len(stages[kind]["places"]) == stages[kind]["share"]["pool"] >= 1
        assert shares[kind]["num_cpus"] == stages[kind]["share"]["num_cpus"] > 0
        assert summary(out)["stages"][kind]["busy_s"] > 0  # which tasks do not tell
    assert "colorsys" in said["libraries"]
    assert "torch" not in said["libraries"]


@pytest.mark.faults
def test_new_engines_are_measured_and_get_shares_by_that(new_engines: tuple[dict, Path]):
    said, out = new_engines
    (kept,) = (out.parent / FOLDER).iterdir()
    measured = json.loads(kept.read_text())
    assert {point["stage"] for point in measured["points"]} == {"model", "scorer"}
    assert all(point["rows_per_s"] > 0 for point in measured["points"])
    assert measured["missing"] == said["unmeasured"] == {"llm": "it takes no time"}
    for stage in ("model", "scorer"):
        assert f"{stage}: " in said["plan"]["resources"]
    assert "rows/s at most, by " in said["plan"]["resources"]


@pytest.mark.faults
def test_new_engines_make_what_is_reported(new_engines: tuple[dict, Path]):
    _, out = new_engines
    rows = pq.read_table(out / "table").to_pylist()
    assert len(rows) == 24
    assert all(row["prompt"] == " and ".join([row["base_prompt"]] * 2) for row in rows)
    assert (np.asarray(Image.open(out / rows[0]["image_path"])) == 77).all()
    made = summary(out)
    assert made["scores"]["light"]["mean"] == 77
    assert (made["llm"]["engine"], made["llm"]["tokens_out"]) == ("new", 48)
    assert "light" in (out / "gallery.html").read_text()
