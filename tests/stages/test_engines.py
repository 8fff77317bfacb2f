"""Engines of a person's own, as docs/plugins.md tells it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import ROOT, one_session
from helpers.command import FAST, imagepipe, summary
from helpers.configs import composed
from PIL import Image

from imagepipe import diffusion, llm, scoring
from imagepipe.errors import UserError
from imagepipe.execution.messages import user_message

DOCS = ROOT / "docs" / "plugins.md"
BOTH = '''
class Shouting:
    """Answers in capitals, and draws one grey."""

    def __init__(self, config):
        self.config = config

    def load(self):
        if self.config.options.get("heavy"):
            raise MemoryError("8 GiB are wanted")

    def enhance(self, prompts, seasons, seeds):
        from imagepipe.llm import Answer

        return [Answer(f"{prompt.upper()}, LOUD", 1, 2) for prompt in prompts]

    def paint(self, prompts, seeds):
        import numpy as np

        size = (len(prompts), self.config.height, self.config.width, 3)
        return np.full(size, self.config.options["grey"], np.uint8)

    def is_cut(self, prompt):
        return False

    def unknown_words(self, prompt):
        return []
'''


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a module of two engines."""
    (tmp_path / "my_engines.py").write_text(BOTH)
    return tmp_path


@pytest.fixture
def documented(tmp_path: Path) -> str:
    """The folder of the documentation's preset; the classes are where the shared Ray finds them."""
    code, preset, stage = re.findall(r"```\w+\n(.*?)```", DOCS.read_text(), re.S)
    for name, text in {"my_scorers": code, "my_stages": stage, "my_engines": BOTH}.items():
        (one_session.SERVER.folder / f"{name}.py").write_text(text)
    (tmp_path / "presets" / "scorer").mkdir(parents=True)
    (tmp_path / "presets" / "scorer" / "colourful.yaml").write_text(preset)
    return f"hydra.searchpath=[file://{tmp_path}/presets]"


def test_the_documented_scorer_and_stage_and_others_of_ones_own_run(
    documented: str, tmp_path: Path
):
    [stages] = re.findall(r"'(stages=\[.*?\])'", DOCS.read_text())
    own = ["llm.engine=custom", "llm._target_=my_engines.Shouting"]
    own += ["model.engine=custom", "model._target_=my_engines.Shouting"]
    own += ["+model.options.grey=77", "scorer=colourful", "tracking=none", "limit=8"]
    out = one_session.run(tmp_path, "out", *FAST, *own, stages, documented)
    rows = pq.read_table(out / "table").to_pylist()
    assert len(rows) == 8
    assert all(row["prompt"] == f"{row['base_prompt'].upper()}, LOUD" for row in rows)
    assert {row["llm_tokens_out"] for row in rows} == {2}
    picture = np.asarray(Image.open(out / rows[0]["image_path"]))
    side = 3 * composed(*FAST).model.height
    assert picture.shape == (side, side, 3) and (picture == 77).all()
    assert summary(out)["scores"]["colourful"]["mean"] == pytest.approx(100 / 3)


@pytest.mark.faults
def test_a_stage_that_does_not_load_is_named_and_no_stack_is_shown(home: Path):
    own = ["model.engine=custom", "model._target_=my_engines.Shouting", "+model.options.heavy=true"]
    quick = ["llm=none", "scorer=none", "limit=2", "tracking=none"]
    done = imagepipe(home, *FAST, *own, *quick)
    assert done.returncode == 1
    said = (
        "imagepipe: stage model ran out of the machine's memory while it loaded: 8 GiB are wanted."
    )
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_a_process_refuses_is_said_as_on_the_driver():
    from ray.exceptions import ActorDiedError, RayTaskError

    refused = UserError(field="model.x", value=1, problem="cannot be used here", remedy="Choose 2.")
    stack = f'Traceback (most recent call last):\n  File "a.py", line 1\n{UserError.__module__}.'
    died = ActorDiedError(RayTaskError("_Actor", f"{stack}UserError: {refused}", refused))
    assert user_message(None, died) == str(refused)


def test_the_script_too_finds_classes_in_the_folder_where_it_is_started(home: Path):
    own = ["scorer.engine=custom", "scorer._target_=my_engines.Shouting"]
    script = Path(sys.executable).with_name("imagepipe")
    command = [str(script), *FAST, *own, "limit=1", "tracking=none"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "my_engines.Shouting: lacks the method score" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_kind_of_engine_is_checked():
    config = composed("llm.engine=custom", "model.engine=custom", "scorer.engine=custom")
    for make, section in (
        (llm.make, config.llm),
        (diffusion.make, config.model),
        (scoring.make, config.scorer["tiny_clip"]),
    ):
        section._target_ = "imagepipe.errors.RunFailed"
        with pytest.raises(UserError, match=r"_target_=imagepipe.errors.RunFailed: lacks"):
            make(section)
