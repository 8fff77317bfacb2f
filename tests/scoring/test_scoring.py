"""Scorers: the real classes at a tiny size, their stage, and what the run makes of the scores."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import FAST, summary
from helpers.configs import composed
from helpers.tracked import with_database

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.scoring import check, make
from imagepipe.scoring.aesthetic import predictor_class
from imagepipe.scoring.stage import stage
from imagepipe.sink import results
from imagepipe.sink.ledger import Scores
from imagepipe.stages.stage import LEDGER, apply
from imagepipe.store import Store
from toyworld import train_clip

PROMPTS = ["a cat wearing a red hat", "a dog wearing a blue scarf", "a cat"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP with random weights, in the layout in which CLIPs lie on the hub."""
    from transformers import CLIPImageProcessor, CLIPProcessor

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = train_clip.build_tokenizer()
    train_clip.build_model(tokenizer).save_pretrained(folder)
    looks = CLIPImageProcessor(size={"shortest_edge": 128}, crop_size={"height": 128, "width": 128})
    CLIPProcessor(looks, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def aesthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import CLIPImageProcessor, CLIPVisionConfig

    folder = tmp_path_factory.mktemp("aesthetic")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    config = CLIPVisionConfig(
        **sizes, num_attention_heads=2, image_size=32, patch_size=16, projection_dim=24
    )
    predictor_class()(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, 128, 128, 3), np.uint8)


def scorer(engine: str, folder: Path) -> Scorer:
    return Scorer("mine", engine, str(folder))


def scores_of(engine: str, folder: Path, images: np.ndarray, prompts: list[str]) -> np.ndarray:
    judge = make(scorer(engine, folder))
    judge.load()
    return judge.score(images, prompts)


def test_a_clip_score_is_a_hundred_times_the_cosine(clip: Path, images: np.ndarray):
    import torch
    from transformers import CLIPModel, CLIPProcessor

    model, processor = CLIPModel.from_pretrained(clip), CLIPProcessor.from_pretrained(clip)
    inputs = processor(text=PROMPTS, images=list(images), return_tensors="pt", padding=True)
    with torch.no_grad():
        cosines = model(**inputs).logits_per_image.diagonal() / model.logit_scale.exp()
    scores = scores_of("clip", clip, images, PROMPTS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, 100 * cosines.numpy(), rtol=1e-4)


@pytest.mark.parametrize("engine", ["clip", "aesthetic"])
def test_a_score_does_not_depend_on_its_batch(engine: str, images, request):
    folder = request.getfixturevalue(engine)
    together = scores_of(engine, folder, images, PROMPTS)
    alone = [scores_of(engine, folder, images[i : i + 1], PROMPTS[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-4)
    assert len(set(together.tolist())) == 3


def test_an_aesthetic_score_looks_at_the_picture_alone(aesthetic: Path, images: np.ndarray):
    first, again = (scores_of("aesthetic", aesthetic, images, [text] * 3) for text in ("a", "b"))
    assert (first == again).all()


def test_the_aesthetic_layers_lie_where_the_hub_has_them(aesthetic: Path):
    from safetensors import safe_open

    with safe_open(aesthetic / "model.safetensors", "np") as file:
        shapes = [file.get_slice(f"layers.{i}.weight").get_shape() for i in (0, 2, 4, 6, 7)]
    assert shapes == [[1024, 24], [128, 1024], [64, 128], [16, 64], [1, 16]]


def test_pickled_weights_are_not_read(clip: Path, tmp_path: Path):
    import torch
    from safetensors.torch import load_file

    copy = tmp_path / "pickled"
    shutil.copytree(clip, copy)
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(OSError, match="safetensors"):
        make(scorer("clip", copy)).load()


# --- the stage


def rows(images: np.ndarray, each: int) -> pa.Table:
    count = len(images) // each
    tensor = images.reshape(count, each, *images.shape[1:])
    nothing = pa.nulls(count, pa.string())
    return pa.table(
        [pa.FixedShapeTensorArray.from_numpy_ndarray(tensor), PROMPTS[:count], nothing, nothing],
        ["image", "prompt", *LEDGER.names],
    )


def test_a_row_of_several_pictures_has_a_score_for_each(clip: Path, images: np.ndarray):
    four = images[[0, 1, 2, 0]]
    one = stage(scorer("clip", clip), each=2)
    scored = apply(one, one.recipe(), rows(four, 2))["score"].to_pylist()
    prompts = [PROMPTS[0], PROMPTS[0], PROMPTS[1], PROMPTS[1]]
    expected = scores_of("clip", clip, four, prompts)
    np.testing.assert_allclose(np.ravel(scored), expected, rtol=1e-4)


def test_running_figures_are_those_of_all_scores():
    values = np.random.default_rng(1).normal(20, 3, 1000)
    scores = Scores()
    for part in np.split(values, 10):
        scores.add(part.tolist())
    scores.add([])
    figures = scores.figures()
    assert figures["count"] == 1000
    assert figures["mean"] == pytest.approx(values.mean())
    assert figures["std"] == pytest.approx(values.std())
    assert (figures["min"], figures["max"]) == (values.min(), values.max())


# --- which scorer a run has


@pytest.mark.parametrize(
    ("overrides", "engine"),
    [
        ([], "clip"),
        (["model=noop"], "none"),
        (["model=sdxl_turbo"], "none"),
        (["model=noop", "scorer=tiny_clip"], "clip"),
        (["scorer=none"], "none"),
    ],
)
def test_the_embedded_scorer_goes_with_the_embedded_model(overrides: list[str], engine: str):
    engines = [one.engine for one in composed(*overrides).scorer.values()]
    assert engines == ([engine] if engine != "none" else [])


def test_bad_scorers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r'scorer.tiny_clip.engine="?clop.*Did you mean "clip"'):
        composed("scorer.engine=clop")
    for path, said in (
        (f"{tmp_path}/none", "no model is there"),
        (None, "hf download openai/clip-vit-large-patch14"),
    ):
        (chosen,) = composed("scorer=clip").scorer.values()
        with pytest.raises(UserError, match=rf"scorer\.path=.*{said}"):
            check(replace(chosen, path=path or chosen.path))


def test_a_clip_that_is_not_whole_is_refused(clip: Path, tmp_path: Path):
    copy = Path(shutil.copytree(clip, tmp_path / "copy"))
    check(scorer("clip", copy))
    (copy / "model.safetensors").rename(copy / "kept")
    with pytest.raises(UserError, match=r"scorer\.path=.*model\.safetensors does not exist"):
        check(scorer("clip", copy))
    (copy / "kept").rename(copy / "model.safetensors")
    (copy / "processor_config.json").unlink()
    with pytest.raises(UserError, match=r"scorer\.processor=None: .*copy holds no processor"):
        check(scorer("clip", copy))
    (copy / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"scorer\.path=.*config\.json is broken"):
        check(scorer("clip", copy))


def test_a_processor_may_have_a_folder_of_its_own(clip: Path, tmp_path: Path):
    from transformers import CLIPProcessor

    processor = CLIPProcessor.from_pretrained(clip)
    own, older = tmp_path / "own", tmp_path / "older"
    processor.save_pretrained(own)
    for part in (processor.image_processor, processor.tokenizer):  # as older versions save one
        part.save_pretrained(older)
    assert not (older / "processor_config.json").exists()
    for folder in (own, older):
        judge = replace(scorer("clip", clip), processor=str(folder))
        check(judge)
        make(judge).load()
    with pytest.raises(UserError, match=rf"scorer\.processor={tmp_path}: .* holds no processor"):
        check(replace(judge, processor=str(tmp_path)))


def test_the_aesthetic_processor_is_of_the_models_revision(
    aesthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From a cache that holds but one revision, which no branch names."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(aesthetic, tmp_path / f"models--our--judge/snapshots/{commit}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    make(Scorer("mine", "aesthetic", "our/judge", revision=commit)).load()


# --- what a run makes of it


@pytest.fixture(scope="module")
def scored_run(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    with_database(folder / "outputs")
    chosen = ["scorer=clip", f"scorer.path={clip}", "model.images_per_prompt=2"]
    options = ["limit=12", "sink.gallery_images=4", "tracking.system_metrics=false"]
    return one_session.run(folder, "out", *FAST, *chosen, *options)


def test_table_summary_and_mlflow_have_the_scores(scored_run: Path):
    from mlflow import MlflowClient

    scores = pq.read_table(scored_run / "table")["score"]
    assert scores.type == pa.float32()
    assert len(scores) == 24 and scores.null_count == 0
    said = summary(scored_run)
    assert said["scores"]["clip"]["mean"] == pytest.approx(np.mean(scores.to_pylist()))
    assert said["scores"]["clip"]["std"] == pytest.approx(np.std(scores.to_pylist()), rel=1e-4)
    assert said["stages"]["scorer"]["rows"] == 12
    store = scored_run.parent / "outputs" / "mlflow.db"
    metrics = MlflowClient(f"sqlite:///{store}").get_run(said["mlflow"]["run_id"]).data.metrics
    assert metrics["score/clip/mean"] == pytest.approx(said["scores"]["clip"]["mean"])
    assert metrics["score/clip/std"] == pytest.approx(said["scores"]["clip"]["std"])


def test_the_gallery_holds_the_best_and_the_worst(scored_run: Path):
    ranked = sorted(pq.read_table(scored_run / "table").to_pylist(), key=lambda row: row["score"])
    found = results.to_show(Store(str(scored_run)), "id", 4, {"clip": "score"}, extremes=3)
    shown = {picture.seed for picture in found}
    assert {row["seed"] for row in ranked[:3] + ranked[-3:]} <= shown
    assert 6 <= len(shown) <= 4 + 6
    page = (scored_run / "gallery.html").read_text()
    assert page.count("data:image/webp") >= 24
    assert "Best score first" in page
