"""imagepipe from Python: in an event loop, beside a Ray, in a thread, and several times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import warm
from helpers.compared import RED, Made
from helpers.tracked import with_database
from hydra.core.override_parser.overrides_parser import OverridesParser

import imagepipe
from imagepipe import config
from imagepipe.api.overrides import checked, overrides
from imagepipe.sink.ledger import ENDS


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `helpers.from_python` saw, in one process of its own."""
    folder = tmp_path_factory.mktemp("python")
    with_database(folder / "outputs")
    done = warm.command(folder, module="helpers.from_python")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_result_has_what_the_run_left(seen):
    told = seen["loop"]
    assert told["counts"] == dict.fromkeys(("rows_read", *ENDS), 0) | {"rows_read": 6, "written": 6}
    assert told["rate"] > 0 and told["mlflow"]
    assert told["table"] == told["polars"] == told["pictures"] == 6
    assert told["ids"] == [str(number) for number in range(100, 106)]
    assert told["sizes"] == [[64, 64]] * 2
    assert bytes.fromhex(told["sheet"]) == b"\x89PNG"
    assert told["repr"].startswith(f"<imagepipe.Result {told['folder']}: 6 rows_read = 6 written, ")


def test_a_run_ends_the_ray_that_it_started_and_leaves_hydra_as_it_was(seen):
    assert seen["loop"]["ray"] is False
    assert seen["hydra"] is True


def test_a_dataset_has_the_rows_with_their_pictures_and_writes_nothing(seen):
    told = seen["dataset"]
    assert {"id", "base_prompt", "prompt", "seed", "image", "failed_reason"} <= set(told["columns"])
    assert (told["rows"], told["shape"], told["left"]) == (4, [1, 64, 64, 3], [])
    assert told["ray"] is True


def test_a_dataset_is_filtered_by_ray_data():
    for given in ({"filter.best": 1}, {"filter.keep": "seed > 1"}):
        with pytest.raises(
            imagepipe.UserError, match=r"filter.\w+=.*imagepipe.dataset writes none"
        ):
            imagepipe.dataset("model=noop", "llm=none", **given)


def test_a_ray_that_runs_already_is_used_and_left_alone_also_by_a_thread(seen):
    told = seen["beside"]
    assert told["same_ray"] and told["counts"]["written"] == told["pictures"] == 5
    assert Path(told["folder"]).name == "beside" and told["mlflow"] is False


@pytest.mark.parametrize(
    ("value", "text", "read"),
    [
        (None, "null", None),
        (True, "true", True),
        (4, "4", 4),
        (0.5, "0.5", 0.5),
        ("tiny", "tiny", "tiny"),
        (Path("a/b.csv"), "a/b.csv", "a/b.csv"),
        ("007", "'007'", "007"),
        ("true", "'true'", "true"),
        ("it's {what}, wearing", None, "it's {what}, wearing"),
        (["a", 1], "[a,1]", ["a", 1]),
        ({"max_tokens": None, "n": "1"}, "{max_tokens:null,n:'1'}", {"max_tokens": None, "n": "1"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_python_are_hydras(value, text, read):
    (typed,) = overrides([], {"key": value})
    assert text is None or typed == f"key={text}"
    assert _plain(OverridesParser.create().parse_override(typed).value()) == read


def _plain(value: Any) -> Any:
    """Hydra's texts as Python's."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return getattr(value, "text", value)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["model=tinny"], 'Did you mean "tiny"?'),
        (["model.stepz=4"], 'Did you mean "model.steps"?'),
        (["model.steps=many"], "model.steps=many: takes a whole number. "),
        (["-m", "model.steps=1,2"], "is an option of the command"),
        (["nonsense"], "is not a setting"),
        (["llm.api_key_env=sk-0123456789abcdef0123456789abcdef"], "llm.api_key_env"),
    ],
    ids=["choice", "key", "value", "option", "word", "secret"],
)
def test_what_cannot_work_is_a_user_error(typed, said):
    with pytest.raises(imagepipe.UserError) as refused:
        _loaded(typed)
    assert said in str(refused.value)


def _loaded(typed: list[str]) -> config.Config:
    with checked(typed, None) as cfg:
        return config.load(cfg)


def test_a_folder_without_a_run_is_no_result(tmp_path):
    with pytest.raises(imagepipe.UserError, match=r"holds no summary\.json"):
        imagepipe.Result(tmp_path)


def test_the_public_names_load_nothing_until_they_are_used():
    code = "import sys, imagepipe; print(*dir(imagepipe)); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, modules = map(str.split, done.stdout.splitlines())
    assert set(imagepipe.__all__) <= set(names)
    assert not {"imagepipe.api", "hydra", "torch", "ray", "mlflow"} & set(modules)


def test_an_unknown_name_is_none():
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = imagepipe.runn


def test_finished_runs_are_compared(tmp_path):
    low = [0.25 + place / 100 for place in range(20)]
    for steps, more in ((2, 0.0), (8, 0.1)):
        ids = [str(place) for place in range(len(low))]
        scores = [score + more + steps * (place % 3) / 1000 for place, score in enumerate(low)]
        made = Made({}, 1.0, None, RED, ids, scores=scores, ids=ids, base="b{}", side=8)
        made.write(tmp_path, str(steps))
        begun = {"id": str(steps), "config": {"model": {"steps": steps}}, "tables": ["t"]}
        (tmp_path / str(steps) / "run.json").write_text(json.dumps(begun))
    runs = (tmp_path / "2", imagepipe.Result(tmp_path / "8"))
    found = imagepipe.compare(*runs, out=tmp_path / "page", level=0.9)
    assert "Best by clip is model.steps=8" in found.headline
    assert [(one["key"], one["values"]) for one in found.differences] == [("model.steps", [2, 8])]
    assert found.page.is_file() and found._repr_png_()[1:4] == b"PNG"
    with pytest.raises(imagepipe.UserError, match="level=2"):
        imagepipe.compare(*runs, out=tmp_path / "page", level=2)
