"""Classifiers of pictures, by tiny ones with random weights in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.configs import composed

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.scoring import SCORER_ERROR, check, make
from imagepipe.scoring.stage import stage

LABELS = ("normal", "nsfw", "drawing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In the layout in which such models lie on the hub."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "image_size": 16, "patch_size": 8}
    config = ViTConfig(**sizes, initializer_range=0.5, id2label=dict(enumerate(LABELS)))
    path = tmp_path_factory.mktemp("classifier")
    ViTForImageClassification(config).save_pretrained(path)
    half = [0.5, 0.5, 0.5]
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
    processor |= {"image_mean": half, "image_std": half, "rescale_factor": 1 / 255, "resample": 2}
    (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return path


def scorer(folder: Path, **changes: object) -> Scorer:
    values = {"path": str(folder), "questions": {"unsafe": "nsfw", "drawn": "drawing"}}
    return Scorer("mine", "image_classifier", **{**values, **changes})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (70, 24, 40, 3), np.uint8)


def judged(asked: Scorer, images: np.ndarray) -> dict:
    made = make(asked)
    made.load()
    return made.judge(images, pa.table({}))


def test_a_column_is_the_probability_of_its_label(folder: Path, images: np.ndarray):
    check(scorer(folder))
    every = {label: label for label in LABELS}
    said = judged(scorer(folder, questions=every), images)
    chances = np.array([said[label] for label in LABELS])
    assert chances.shape == (3, 70) and np.allclose(chances.sum(axis=0), 1, atol=1e-5)
    assert len(np.unique(chances[1].round(4))) > 10
    some = judged(scorer(folder), images)
    assert list(some) == ["unsafe", "drawn", SCORER_ERROR]
    assert np.allclose(some["unsafe"], said["nsfw"]) and np.allclose(some["drawn"], chances[2])
    alone = judged(scorer(folder), images[66:67])
    assert np.allclose(alone["unsafe"], some["unsafe"][66], atol=1e-5)


def test_labels_that_do_not_exclude_each_other_are_judged_alone(
    folder: Path, images: np.ndarray, tmp_path: Path
):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (tmp_path / "config.json").write_text(json.dumps(config))
    every = {label: label for label in LABELS}
    said = judged(scorer(tmp_path, questions=every), images)
    sums = np.sum([said[label] for label in LABELS], axis=0)
    assert np.abs(sums - 1).max() > 0.1


def test_its_columns_are_those_that_a_filter_goes_by(folder: Path):
    asked = composed("scorer=safety", "llm=none", "filter.keep='score_nsfw < 0.5'")
    assert [one.column for one in asked.judged] == ["score_nsfw"]
    made = stage(scorer(folder), 2)
    assert made.adds.names == ["score_unsafe", "score_drawn", "scorer_error"]
    assert made.reads == ("image",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"questions": {"a": "NSFW"}},
            "scorer.questions.a=NSFW: .* has no such label. It has: normal, nsfw, drawing",
            id="label",
        ),
        pytest.param({"questions": {}}, "scorer.questions={}: .* needs at least one", id="none"),
        pytest.param({"path": "asset:tiny_llm"}, "which classifies no pictures", id="llm"),
        pytest.param({"processor": "asset:tiny"}, "scorer.processor=asset:tiny: ", id="processor"),
    ],
)
def test_what_cannot_classify_is_refused(folder: Path, changes: dict, said: str):
    with pytest.raises(UserError, match=said):
        check(scorer(folder, **changes))


def test_a_folder_without_a_processor_is_refused(folder: Path, tmp_path: Path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(UserError, match="holds no processor of pictures"):
        check(scorer(tmp_path))
    check(scorer(tmp_path, processor=str(folder)))
