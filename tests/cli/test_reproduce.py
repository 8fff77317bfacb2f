"""`python -m imagepipe.reproduce`: a picture drawn again from what it says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import one_session
from PIL import Image

from imagepipe.cli import reproduce
from imagepipe.config import IPAdapter, Lora, Model, Part, Quantization, TextualInversion
from imagepipe.diffusion.noop import NoopGenerator
from imagepipe.sink import metadata
from imagepipe.sink.encoding import encode

NOOP = Model(name="noop", engine="noop", width=16, height=24)


class Broken(NoopGenerator):
    """An engine of a person's own that cannot draw."""

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        raise RuntimeError("out of paint\nand of canvas")


BROKEN = {"engine": "custom", "_target_": f"{__name__}.Broken", "width": 16, "height": 24}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Two rows of two pictures each in one batch, with settings that are not the preset's."""
    options = ["model.images_per_prompt=2", "model.steps=2", "model.guidance=2.5"]
    options += ['model.negative_prompt="pale, grey"', "model.scheduler=DDIMScheduler"]
    options += ["llm=template", "scorer=none", "tracking=none", "limit=2"]
    return one_session.run(tmp_path_factory.mktemp("drawn"), "out", *options)


def picture(folder: Path, model: Model = NOOP, **texts: str | None) -> Path:
    """A picture of `model=noop` that carries the settings of `model`; null leaves a text out."""
    whole = {
        "prompt": "a cat",
        "seed": "7",
        metadata.SETTINGS: metadata.settings(model),
        "imagepipe_version": "0.0.9",
        **texts,
    }
    said = {name: text for name, text in whole.items() if text is not None}
    path = folder / "one.png"
    path.write_bytes(encode(NoopGenerator(NOOP).paint(["a cat"], [7])[0], said))
    return path


def changed(path: Path, pixels: np.ndarray) -> Path:
    """Its texts with other pixels."""
    with Image.open(path) as image:
        path.write_bytes(encode(pixels, dict(image.text)))
    return path


def refusal(capsys, path: Path, *options: str) -> str:
    assert reproduce.main([str(path), *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


def test_a_picture_is_drawn_again_in_another_folder_and_is_the_same(
    drawn, tmp_path, monkeypatch, capsys
):
    """By another process than the run's."""
    path = drawn / "images" / "101-1.png"
    monkeypatch.chdir(tmp_path)
    assert reproduce.main([str(path), "--out", "again.png"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{path}: drawn again, the same ")
    assert said.err == ""
    with Image.open(path) as before, Image.open(tmp_path / "again.png") as now:
        assert before.text["image_index"] == "1"
        assert now.text == before.text  # so it can be drawn again too
        most, _ = reproduce.difference(np.asarray(before), np.asarray(now))
    assert most <= reproduce.SAME


@pytest.mark.parametrize(
    "other",
    [{"steps": 3}, {"negative_prompt": None}, {"scheduler": None}, {"guidance": 2.0}],
    ids=lambda one: next(iter(one)),
)
def test_every_setting_is_in_the_picture_and_counts(drawn, other):
    one = reproduce.read(drawn / "images" / "100-0.png")
    for name, value in other.items():
        assert getattr(one.model, name) != value
        setattr(one.model, name, value)
    most, _ = reproduce.difference(one.image, reproduce.again(one))
    assert most > reproduce.SAME


def test_a_picture_that_is_the_same_almost_or_not_at_all(tmp_path, capsys):
    path = picture(tmp_path)
    pixels = reproduce.read(path).image.copy()
    assert reproduce.main([str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: drawn again, the same to the last bit\n"
    pixels[3, 4] += np.array([1, 0, 2], np.uint8)
    assert reproduce.main([str(changed(path, pixels))]) == 0
    told = "drawn again, the same but for 2 of 1,152 values by up to 2 of 255 levels"
    assert capsys.readouterr().out == f"{path}: {told}\n"
    pixels[0, 0, 0] -= 5
    again = tmp_path / "again.png"
    assert reproduce.main([str(changed(path, pixels)), "--out", str(again)]) == 1
    said = capsys.readouterr().out
    assert "it differs: 3 of 1,152 values by up to 5 of 255 levels. It was drawn by" in said
    assert "imagepipe 0.0.9" in said
    with Image.open(again) as now:
        assert np.array_equal(np.asarray(now), NoopGenerator(NOOP).paint(["a cat"], [7])[0])
    assert reproduce.main([str(path), "--levels", "5"]) == 0


def test_all_settings_of_a_model_come_back(tmp_path):
    model = Model(
        name="mine",
        engine="noop",
        width=16,
        height=24,
        negative_prompt='${oc.env:HOME} "ü"\n',
        loras=[Lora(path="./mine.safetensors", weight=0.8)],
        textual_inversions=[TextualInversion(path="./word.safetensors")],
        parts={"text_encoder": Part(path="./encoder")},
        ip_adapter=IPAdapter(path="./adapter", scale=0.5),
        quantization=Quantization("torchao", {"quant_type": "int8wo"}, ["unet"]),
        scheduler_config={"timestep_spacing": "trailing"},
        offload="model",  # decides nothing in the picture
    )
    assert reproduce.read(picture(tmp_path, model)).model == replace(model, offload="none")
    own = Model(
        name="own", engine="custom", _target_="mine.ImageGenerator", options={"key": "secret"}
    )
    assert metadata.settings(own) is None


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"trust_remote_code": True}, "trust_remote_code=true"),
        ({"use_safetensors": False}, "use_safetensors=false"),
        ({"engine": "custom", "_target_": "os.system"}, "engine=custom"),
    ],
)
def test_a_picture_may_not_name_code(tmp_path, capsys, settings, what):
    said = json.loads(metadata.settings(NOOP) or "") | settings
    path = picture(tmp_path, **{metadata.SETTINGS: json.dumps(said)})
    line = refusal(capsys, path)
    assert f"IMAGE={path}: was drawn with model.{what}, which can run any code" in line
    assert line.endswith("Add --trust if the picture is your own.")
    if settings.get("engine") != "custom":
        assert reproduce.main([str(path), "--trust"]) == 0


def _said(**settings: object) -> dict[str, str]:
    usual = {"engine": "noop", "width": 16, "height": 24}
    return {metadata.SETTINGS: json.dumps(usual | settings)}


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({"prompt": None, "seed": None}, "it lacks prompt, seed"),
        ({metadata.SETTINGS: None}, "it lacks model_settings"),
        ({"seed": "seven"}, "settings that cannot be read"),
        ({"seed": str(1 << 63)}, "a seed has 63 bits"),
        ({"seed": "-1"}, "a seed has 63 bits"),
        ({metadata.SETTINGS: "{"}, "settings that cannot be read"),
        ({metadata.SETTINGS: "[1]"}, "settings that cannot be read"),
        ({metadata.SETTINGS: '{"stepz": 4}'}, "settings that cannot be read"),
        (
            {metadata.SETTINGS: '{"engine": "noop", "steps": "six"}'},
            "settings that cannot be read",
        ),
        ({metadata.SETTINGS: '{"loras": [3]}'}, "settings that cannot be read"),
        (_said(steps=2.5), "settings that cannot be read (steps: Value '2.5'"),
        (_said(steps="${x}"), "settings that cannot be read"),
        (_said(scheduler_config=[1]), "settings that cannot be read"),
        (_said(quantization=None), "settings that cannot be read (quantization: "),
        ({metadata.SETTINGS: '{"engine": "noop", "width": 32}'}, "pixels, and was drawn as 32x512"),
        ({metadata.SETTINGS: '{"engine": "nope"}'}, "model.engine=nope: is not one of the"),
        ({metadata.SETTINGS: '{"engine": "noop", "width": 1}'}, "model.width=1: is too small"),
    ],
)
def test_what_a_picture_says_may_be_wrong(tmp_path, capsys, texts, why):
    assert why in refusal(capsys, picture(tmp_path, **texts))


def test_a_model_that_is_gone_and_a_scheduler_that_never_was(drawn, tmp_path, capsys):
    with Image.open(drawn / "images" / "100-0.png") as image:
        pixels, texts = np.asarray(image), dict(image.text)
    said = json.loads(texts[metadata.SETTINGS])
    path = tmp_path / "other.png"
    for key, value, why in (
        ("path", "./gone", "model.path=./gone: no model is there"),
        ("scheduler", "Nope", "model.scheduler=Nope: is not a scheduler of diffusers"),
    ):
        texts[metadata.SETTINGS] = json.dumps(said | {key: value})
        path.write_bytes(encode(pixels, texts))
        assert why in refusal(capsys, path)


def test_whatever_stops_the_drawing_is_one_line(tmp_path, capsys):
    line = refusal(capsys, picture(tmp_path, **_said(**BROKEN)), "--trust")
    assert "cannot be drawn again here (RuntimeError: out of paint). " in line


def test_a_model_that_lies_elsewhere_is_named_behind_the_picture(drawn, tmp_path, capsys):
    with Image.open(drawn / "images" / "100-0.png") as image:
        pixels, texts = np.asarray(image), dict(image.text)
    said = json.loads(texts[metadata.SETTINGS]) | {"path": "./mine", "offload": "model"}
    texts[metadata.SETTINGS] = json.dumps(said)
    path, again = tmp_path / "other.png", tmp_path / "again.png"
    path.write_bytes(encode(pixels, texts))
    asked = [str(path), "--out", str(again), "model.path=asset:tiny", "model.offload=none"]
    assert reproduce.main(asked) == 0
    assert reproduce.main([str(again)]) == 0
    one = picture(tmp_path, replace(NOOP, loras=[Lora("a.safetensors"), Lora("b.safetensors")]))
    loras = reproduce.read(one, ["model.loras.1.path=/c.safetensors"]).model.loras
    assert loras == [Lora("a.safetensors"), Lora("/c.safetensors")]


@pytest.mark.parametrize(
    "change",
    [
        "model.stepz=3",
        "limit=3",
        "model.steps=1,2",
        "model.steps=six",
        "model.path",
        "model.loras.4.path=x",
    ],
)
def test_what_is_no_setting_of_the_model_is_refused(tmp_path, capsys, change):
    line = refusal(capsys, picture(tmp_path), change)
    assert f"{change.partition('=')[0]}={change.partition('=')[2]}: is not a setting of the" in line


def test_what_is_kept_says_what_was_drawn(tmp_path):
    texts = {"id": "7", "negative_prompt": "grey", "parameters": "of before", "steps": "4"}
    path = picture(tmp_path, replace(NOOP, negative_prompt="grey"), **texts)
    again = tmp_path / "again.png"
    reproduce.main([str(path), "model.negative_prompt=null", "model.steps=5", "--out", str(again)])
    now = reproduce.read(again)
    assert now.model == replace(NOOP, steps=5)
    assert (now.texts["id"], now.texts["steps"]) == ("7", "5")
    assert "negative_prompt" not in now.texts
    assert now.texts["parameters"].startswith("a cat\nSteps: 5, ")


def test_a_picture_is_not_overwritten_and_a_place_for_it_is_made_sure_of_first(tmp_path, capsys):
    path, link = picture(tmp_path, **_said(**BROKEN)), tmp_path / "link.png"
    link.symlink_to(path)
    before = path.read_bytes()
    for out, why in (
        (path, "is the picture itself"),
        (link, "is the picture itself"),
        (tmp_path, "cannot be written"),
        (tmp_path / "nowhere" / "again.png", "cannot be written"),
    ):
        assert f"--out={out}: {why}" in refusal(capsys, path, "--trust", "--out", str(out))
    assert path.read_bytes() == before


def test_files_that_are_no_picture_and_places_that_take_none(tmp_path, capsys):
    gone, text, jpeg = tmp_path / "gone.png", tmp_path / "text.png", tmp_path / "one.jpg"
    text.write_text("no picture")
    Image.new("RGB", (8, 8)).save(jpeg)
    torn = picture(tmp_path).rename(tmp_path / "torn.png")
    torn.write_bytes(torn.read_bytes()[:-30])
    assert f"IMAGE={gone}: is not there" in refusal(capsys, gone)
    assert "is a JPEG, which changes pixels a little" in refusal(capsys, jpeg)
    for path in (text, torn, tmp_path):
        assert f"IMAGE={path}: is not a PNG that can be read" in refusal(capsys, path)
    out = tmp_path / "nowhere" / "again.png"
    line = refusal(capsys, picture(tmp_path), "--out", str(out))
    assert f"--out={out}: cannot be written" in line
