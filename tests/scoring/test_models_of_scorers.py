"""A scorer's folder is looked at before a run: its kind, and that its weights are all there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from imagepipe.assets import folder as asset
from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.scoring import check, make


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Path(shutil.copytree(asset("asset:tiny_clip"), tmp_path / "clip"))


def complaint(folder: Path, engine: str = "clip") -> str:
    with pytest.raises(UserError) as caught:
        check(Scorer("mine", engine, str(folder)))
    return str(caught.value)


@pytest.mark.parametrize("kind", ["siglip", "siglip2", "chinese_clip", "blip"])
def test_another_kind_of_model_is_refused(kind: str, clip: Path):
    check(Scorer("mine", "clip", str(clip)))
    config = json.loads((clip / "config.json").read_text())
    (clip / "config.json").write_text(json.dumps(config | {"model_type": kind}))
    said = complaint(clip)
    assert f"its config.json says {kind}, and scorer.engine=clip takes a CLIP" in said


@pytest.mark.parametrize(
    ("keep", "said"),
    [("vision_model.", "such as text_model."), ("text_", "such as vision_model.")],
    ids=["picture", "text"],
)
def test_one_tower_alone_is_no_clip(keep: str, said: str, clip: Path):
    file = clip / "model.safetensors"
    held = {name: value for name, value in load_file(file).items() if name.startswith(keep)}
    save_file(held, file, metadata={"format": "pt"})
    scorer = Scorer("mine", "clip", str(clip))
    assert said in complaint(clip)
    with pytest.raises(UserError, match="lacks .* weights of CLIPModel"):
        make(scorer).load()


def test_a_clip_has_no_aesthetic_predictor(clip: Path):
    assert "of AestheticPredictor, such as layers.0.bias" in complaint(clip, "aesthetic")
