"""The engine openai_images against a real server that draws, refuses, and answers nonsense."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import imagepipe, summary
from helpers.configs import composed
from helpers.image_server import ImageServer, answer, drawing, png
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imagepipe.cli import reproduce
from imagepipe.config import Model
from imagepipe.diffusion import Painted, check, make, seed_note, trial_note, unsent
from imagepipe.errors import UserError

KEY = "sk-a-secret-of-ours"
PROMPTS, SEEDS = ["a cat", "a dog", "an owl"], [1, 1 << 40, 3]
DOGS = {"a dog": (400, '{"error": {"message": "no dogs"}}')}


def model(server: ImageServer, **changes: object) -> Model:
    values = {"path": "m", "base_url": server.url, "width": 16, "height": 8, "max_retries": 0}
    return Model("mine", "openai_images", **{**values, **changes})


def paint(server: ImageServer, **changes: object) -> Painted:
    generator = make(model(server, **changes))
    generator.load()
    return generator.paint(PROMPTS, SEEDS)


def refusal(asked: Model) -> str:
    with pytest.raises(UserError) as caught:
        check(asked)
    return str(caught.value)


def test_prompt_seed_and_settings_arrive_and_pictures_come_back():
    with drawing() as server:
        found = paint(server, steps=7, guidance=2.5, negative_prompt="fog", request={"quality": 1})
    assert found.reasons == [None] * 3
    assert found.images.shape == (3, 8, 16, 3)
    assert [int(image[0, 0, 0]) for image in found.images] == [2, 1, 4]  # 1 + seed
    asked = next(one for one in server.chats if one["prompt"] == "an owl")
    assert server.paths == ["/v1/images/generations"] * 3
    assert asked == {
        "model": "m",
        "prompt": "an owl",
        "n": 1,
        "size": "16x8",
        "seed": 3,
        "num_inference_steps": 7,
        "guidance_scale": 2.5,
        "negative_prompt": "fog",
        "response_format": "b64_json",
        "output_format": "png",
        "quality": 1,
    }


def test_pictures_that_go_in_are_edited():
    one, other, mask = (np.full((8, 16, 3), level, np.uint8) for level in (10, 20, 0))
    mask[:, 8:] = 255
    with drawing() as server:
        generator = make(model(server, steps=7))
        generator.load()
        inside = [
            {"image": one},
            {"image": one, "mask_image": mask},
            {"image_2": other, "image": one},
        ]
        found = generator.paint(PROMPTS, SEEDS, None, pictures=inside)
    assert found.reasons == [None] * 3
    assert [int(image[0, 0, 0]) for image in found.images] == [2, 1, 4]
    assert server.paths == ["/v1/images/edits"] * 3
    asked = {one["prompt"]: one for one in server.chats}
    files = {prompt: [name for name, _ in one["files"]] for prompt, one in asked.items()}
    assert files == {"a cat": ["image"], "a dog": ["image", "mask"], "an owl": ["image[]"] * 2}
    assert (asked["a cat"]["num_inference_steps"], asked["a cat"]["size"]) == ("7", "16x8")
    first, second = (pixels(content) for _, content in asked["an owl"]["files"])
    assert (first == one).all() and (second == other).all()
    kept = pixels(asked["a dog"]["files"][1][1])[..., 3]
    assert (kept[:, :8] == 255).all() and not kept[:, 8:].any()  # transparent is drawn again


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"control_image": "c"},
            "model.columns.control_image=c: is a picture that servers do not accept",
        ),
        ({"mask_image": "m"}, "model.columns.mask_image=m: needs an input picture"),
    ],
)
def test_pictures_that_no_server_takes_are_refused(columns: dict[str, str], said: str):
    with drawing() as server:
        assert refusal(model(server, columns=columns)).startswith(said)
        check(model(server, columns={"image": "photo", "mask_image": "m"}))
        assert server.paths == ["/v1/images/edits"]


def test_the_pictures_of_a_batch_are_asked_for_at_once():
    with drawing(together=threading.Barrier(3)) as server:
        assert paint(server).reasons == [None] * 3


@pytest.mark.parametrize("place", ["", "http://127.0.0.1:{port}"], ids=["relative", "whole"])
def test_a_picture_that_the_server_has_put_elsewhere_is_fetched(place: str):
    with drawing() as server:
        server.as_url = place.format(port=server.port)
        found = paint(server, request={"response_format": "url"})
    assert found.reasons == [None] * 3
    assert [int(image[0, 0, 0]) for image in found.images] == [2, 1, 4]


def test_a_picture_in_a_private_network_is_not_fetched():
    with drawing(as_url="http://10.1.2.3") as server:
        found = paint(server)
    assert all("10.1.2.3, a private address" in str(why) for why in found.reasons)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("<html>Welcome to nginx!</html>", "is not a picture: <html>", id="html"),
        pytest.param(answer(), 'is not a picture: {"created"', id="none"),
        pytest.param(answer({"b64_json": "aGk="}, {"b64_json": "aGk="}), "not a picture", id="two"),
        pytest.param(answer({"revised_prompt": "x"}), "is not a picture", id="neither"),
        pytest.param('{"error": {"message": "overloaded"}}', "overloaded", id="error"),
        pytest.param(answer({"b64_json": "aGk="}), "is not a picture of PNG", id="bytes"),
        pytest.param(answer({"b64_json": "a"}), "Error", id="base64"),
        pytest.param(answer({"url": "/files/none.png"}), "the server says 404", id="gone"),
        pytest.param(
            answer({"url": "file://127.0.0.1/etc/passwd"}), "is not a web address", id="file"
        ),
        pytest.param("null", "is not a picture", id="null"),
    ],
)
def test_an_answer_without_a_picture_fails_its_row_alone(body: str, said: str):
    with drawing(models_status=404, replies={"a dog": (200, body)}) as server:
        found = paint(server)
    assert [why is None for why in found.reasons] == [True, False, True]
    assert said in str(found.reasons[1])
    assert not found.images[1].any() and found.images[2].any()
    assert len(server.chats) == 3  # what was answered is not asked again


def test_a_picture_of_another_size_fails_its_row_and_is_refused_before_a_run():
    with drawing(draws="32x32") as server:
        found = paint(server)
        said = refusal(model(server))
    assert all("drew 32x32 pixels, and was asked for 16x8" in str(why) for why in found.reasons)
    assert said.startswith("model.width=16: the server drew 32x32 pixels")


def test_a_server_in_trouble_is_asked_again_and_a_refusal_is_not():
    with drawing(script=[(503, {}, "{}")], replies=DOGS) as server:
        found = paint(server, max_retries=2)
    assert found.reasons == [None, "BadRequestError: HTTP 400: no dogs", None]
    assert len(server.chats) == 4


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(
            *(400, '{"error": {"message": "Unknown parameter: \'seed\'."}}'),
            "Leave out what it does not take: 'model.request={seed: null}'",
            id="seed",
        ),
        pytest.param(
            *(400, '{"error": {"message": "Invalid size \'16x8\'."}}'),
            "Draw in a size that it takes",
            id="size",
        ),
        pytest.param(404, "nothing here", "there are no pictures at", id="address"),
        pytest.param(401, '{"error": "bad key"}', "does not accept the key (HTTP 401)", id="key"),
        pytest.param(200, "<html>", "the server's answer is not a picture: <html>", id="html"),
    ],
)
def test_what_would_fail_every_row_is_refused_before_a_run(status: int, body: str, said: str):
    with drawing(replies={"": (status, body)}) as server:
        assert said in refusal(model(server))


@pytest.mark.parametrize(
    ("charged", "path", "drawn"),
    [(True, "m", 0), (True, "other", 1), (False, "m", 1)],
    ids=["listed", "unlisted", "free"],
)
def test_no_picture_is_charged_where_a_list_of_models_does(charged, path, drawn, monkeypatch):
    monkeypatch.setenv("A_KEY", KEY)
    with drawing(key=KEY if charged else None) as server:
        asked = model(server, path=path, api_key_env="A_KEY" if charged else None)
        check(asked)
        assert len(server.paths) == drawn
    said = "the server draws one picture first, to try what this run asks of it"
    assert trial_note(asked) == (f"where it does not list {path}, {said}" if charged else said)


def test_a_key_that_the_server_does_not_take_is_refused_before_a_run(monkeypatch):
    monkeypatch.setenv("A_KEY", "another")
    with drawing(key=KEY) as server:
        assert "does not accept the key (HTTP 401)" in refusal(model(server, api_key_env="A_KEY"))
        assert trial_note(composed("model=noop").model) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("scheduler", "DDIMScheduler"), ("loras", ["x"]), ("dtype", "float16"), ("revision", "main")],
)
def test_what_is_decided_at_the_server_is_refused(key: str, value: object):
    with drawing() as server:
        said = refusal(model(server, **{key: value}))
        assert not server.chats
    assert said.startswith(f"model.{key}=") and "a server, which has its own" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request": {"seed": 5}}, "model.request.seed=5: differs from what each picture"),
        ({"request": {"num_inference_steps": 30}}, "Use model.steps, or model.columns."),
        ({"columns": {"num_inference_steps": "n"}}, "Use model.steps, or model.columns.steps."),
        (
            {"call_kwargs": {"guidance_scale": 2}},
            "model.call_kwargs.guidance_scale=2: differs from what",
        ),
        ({"call_kwargs": {"negative_prompt": "fog"}}, "Use model.negative_prompt, or"),
    ],
    ids=["seed", "steps", "row", "guidance", "negative"],
)
def test_no_request_says_another_setting_than_the_picture(changes: dict[str, object], said: str):
    with drawing() as server:
        assert said in refusal(model(server, **changes))
        check(model(server, steps=7, request={"num_inference_steps": 7, "size": "16x8"}))
        check(model(server, request={"seed": None, "num_inference_steps": None}))


def test_a_server_promises_no_seeds_and_the_picture_says_so():
    hosted = composed("model=gpt_image", "llm=none").model
    assert set(unsent(hosted)) == {"seed", "steps", "guidance", "negative_prompt"}
    assert "is told no seed" in str(seed_note(hosted))
    assert "need not draw the same" in str(seed_note(composed("model=image_server").model))
    assert seed_note(composed("model=noop").model) is None


def test_a_typed_key_reaches_no_file_and_no_message(tmp_path: Path):
    done = imagepipe(tmp_path, "model=image_server", f"model.api_key_env={KEY}")
    assert done.returncode == 2
    assert "model.api_key_env=...: is not a name of a variable" in done.stderr
    assert not list(tmp_path.iterdir())


# --- a whole run


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory):
    """A run of six rows, of which one is refused and one has a size of its own; what was asked."""
    place = tmp_path_factory.mktemp("openai_images")
    rows = ["1,a cat,16", "2,a dog,16", "3,an owl,24", "4,a fox,16", "5,a bat,16", "6,a cow,16"]
    (place / "t.csv").write_text("id,what,w\n" + "\n".join(rows) + "\n")
    with drawing(key=None, replies=DOGS) as server:
        out = one_session.run(
            place,
            "out",
            *("model=image_server", f"model.base_url={server.url}", "model.path=m"),
            *("model.width=16", "model.height=16", "model.max_retries=0", "model.steps=3"),
            *("+model.columns.width=w", "llm=none", "scorer=none", "tracking=none"),
            *("dataset=csv", "dataset.path=t.csv", 'dataset.prompt="{what}"'),
        )
        chats = list(server.chats)
    return out, chats


def test_a_run_draws_on_a_server_and_each_row_is_asked_for_once(drawn):
    out, chats = drawn
    rows = {row["id"]: row for row in pq.read_table(out / "table").to_pylist()}
    assert sorted(rows) == ["1", "3", "4", "5", "6"]
    for row in rows.values():
        size = "24x16" if row["id"] == "3" else "16x16"
        wanted = np.asarray(Image.open(io.BytesIO(png(size, row["seed"] % (1 << 31)))))
        assert (np.asarray(Image.open(out / row["image_path"])) == wanted).all()
    (failed,) = pq.read_table(out / "failed.parquet").to_pylist()
    assert (failed["id"], failed["stage"]) == ("2", "model")
    assert failed["reason"] == "BadRequestError: HTTP 400: no dogs"
    asked = [chat["prompt"] for chat in chats]
    assert len(asked) == 7 and len(set(asked)) == 7  # the question before the run, and six rows


def test_what_is_not_promised_is_said_in_summary_and_picture(drawn):
    out, _ = drawn
    assert "need not draw the same picture" in summary(out)["seed_note"]
    texts = Image.open(out / "images" / "1.png").text
    assert texts["seed_note"] == summary(out)["seed_note"]
    assert (texts["steps"], texts["model"]) == ("3", "m")
    assert not {"base_url", "api_key_env"} & set(json.loads(texts["model_settings"]))


def test_a_picture_chooses_no_server_and_no_key_to_draw_it_again(drawn, tmp_path: Path):
    out, _ = drawn
    picture = Image.open(out / "images/1.png")
    texts = PngInfo()
    for name, text in picture.text.items():
        held = json.loads(text) if name == "model_settings" else None
        other = {"base_url": "http://elsewhere/v1", "api_key_env": "HOME"}
        texts.add_text(name, json.dumps(held | other) if held else text)
    picture.save(tmp_path / "other.png", pnginfo=texts)
    with drawing() as server:
        here = f"model.base_url={server.url}"
        assert reproduce.main([str(tmp_path / "other.png"), here]) == 0
        assert server.headers[-1]["authorization"] == "Bearer none"
    assert reproduce.main([str(tmp_path / "other.png")]) == 2
