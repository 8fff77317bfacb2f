"""Judges on a server: what it is asked, how yes is read, and what is refused before a run."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.chat_server import ChatServer, completion, serving
from helpers.configs import composed
from PIL import Image

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.execution import manifest
from imagepipe.scoring import SCORER_ERROR, check, make
from imagepipe.scoring.questions import NEITHER

ROWS = pa.table({"base_prompt": ["a cat", "a dog", "a sun"]})
SURE = {"Yes": 0.7, " yes": 0.1, "No": 0.15, "Maybe": 0.05}
CHANCES = {"a cat": SURE, "a dog": {"no": 0.9, "Yes": 0.1}, "a sun": {"I": 0.6, "The": 0.4}}
TRIED = {"a red cat": SURE}


def scorer(server: ChatServer, engine: str = "openai_vlm", **changes: object) -> Scorer:
    questions = {"shows": "Does this picture show {base_prompt}?"}
    values = {"path": "m", "base_url": server.url, "questions": questions, "max_retries": 1}
    return Scorer("mine", engine, **{**values, **changes})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, 8, 12, 3), np.uint8)


def judged(asked: Scorer, images: np.ndarray):
    judge = make(asked)
    judge.load()
    return judge.judge(images, ROWS)


def test_yes_is_read_from_the_first_token(images: np.ndarray):
    with serving(chances=CHANCES) as server:
        said = judged(scorer(server), images)
    assert said["shows"] == [pytest.approx(0.8), pytest.approx(0.1), None]
    assert said[SCORER_ERROR] == [None, None, f"shows: {NEITHER}"]


def test_a_request_holds_the_picture_and_the_question(images: np.ndarray):
    with serving(chances=CHANCES) as server:
        judged(scorer(server, request={"top_logprobs": 5, "seed": 3}), images[:1].repeat(3, 0))
    asked = next(one for one in server.chats if "a dog" in str(one["messages"]))
    picture, question = asked.pop("messages")[0]["content"]
    assert question == {"type": "text", "text": "Does this picture show a dog?"}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert (seen == images[0]).all()
    assert asked == {
        "model": "m",
        "max_tokens": 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "logprobs": True,
        "top_logprobs": 5,
        "seed": 3,
    }


def test_one_failure_leaves_the_other_pictures_their_scores(images: np.ndarray):
    replies = {"a dog": (400, '{"error": {"message": "no dogs"}}'), "a sun": (200, "Yes")}
    with serving(chances={"a cat": SURE}, replies=replies) as server:
        said = judged(scorer(server), images)
    assert said["shows"] == [pytest.approx(0.8), None, None]
    _, refused, without = said[SCORER_ERROR]
    assert refused == "shows: BadRequestError: HTTP 400: no dogs"
    assert "answers without logprobs" in without


def test_a_server_that_tells_the_chosen_token_alone_is_read(images: np.ndarray):
    chosen = json.loads(completion("Yes", {"Yes": 0.6}))
    chosen["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = []
    with serving(replies={"Does": (200, json.dumps(chosen))}) as server:
        assert judged(scorer(server), images)["shows"] == [pytest.approx(0.6)] * 3


def test_captions_are_written_by_a_server_too(images: np.ndarray):
    asked = {"questions": {"caption": "Describe {base_prompt}."}, "max_tokens": 9}
    with serving(replies={"dog": (200, " ")}) as server:
        said = judged(scorer(server, "openai_caption", **asked), images)
    assert said["caption"] == ["Describe a cat., in falling snow", None,
                               "Describe a sun., in falling snow"]  # fmt: skip
    assert said[SCORER_ERROR] == [None, "caption: the judge writes nothing", None]
    assert {one["max_tokens"] for one in server.chats} == {9}


# --- the question before the run


def complaint(server: ChatServer, engine: str = "openai_vlm", **changes: object) -> str:
    with pytest.raises(UserError) as caught:
        check(scorer(server, engine, **changes))
    return str(caught.value).replace(server.url, "URL")


def test_a_server_with_logprobs_passes():
    with serving(chances=TRIED) as server:
        check(scorer(server))
    assert len(server.chats) == 1
    with serving() as server:
        check(scorer(server, "openai_caption"))


@pytest.mark.parametrize(
    "reply",
    [
        (200, {}, completion("Yes")),
        (400, {}, '{"error": {"message": "Unrecognized request argument: logprobs"}}'),
        (422, {}, '{"detail": [{"loc": ["body", "top_logprobs"], "msg": "Extra inputs"}]}'),
    ],
    ids=["silent", "refuses", "extra"],
)
def test_a_server_without_logprobs_is_refused(reply: tuple[int, dict[str, str], str]):
    with serving(script=[reply]) as server:
        said = complaint(server)
    assert said.startswith("scorer.base_url=URL: the server ")
    assert "Ask a server that gives logprobs" in said and "engine=openai_caption" in said


def test_what_else_a_server_will_not_take_names_the_scorers_keys():
    no_model = (404, {}, '{"error": {"message": "model m not found"}}')
    with serving(script=[no_model]) as server:
        assert complaint(server).startswith("scorer.path=m: the server refuses the question")
    no_seed = (422, {}, '{"detail": [{"loc": ["body", "temperature"]}]}')
    with serving(script=[no_seed]) as server:
        assert "'scorer.request={temperature: null}'" in complaint(server)
    with serving(key="right") as server:
        assert complaint(server).startswith("scorer.api_key_env=None: the server does not accept")
        assert complaint(server, base_url=None).startswith("scorer.base_url=None: this engine")
        said = complaint(server, api_key_env="sk-secret")
    assert said.startswith("scorer.api_key_env=...: is not a name") and "sk-secret" not in said


def test_one_process_alone_keeps_to_a_rate():
    server = [
        "scorer=vlm_server",
        "scorer.vlm_server.path=m",
        "scorer.vlm_server.base_url=http://h/v1",
    ]
    slow = [*server, "scorer.vlm_server.requests_per_minute=60", "resources=cpu"]
    composed(*slow, "resources.scorer.pool=1")
    with pytest.raises(UserError) as caught:
        composed(*slow, "resources.scorer.pool=2")
    assert str(caught.value).startswith(
        "resources.scorer.pool=2: each process would keep to scorer.requests_per_minute by itself"
    )


def test_a_resumed_run_may_ask_another_server_the_same(tmp_path: Path):
    said = [
        "scorer=vlm_server",
        "scorer.vlm_server.path=m",
        "scorer.vlm_server.base_url=http://h/v1",
    ]
    before = manifest.of(composed(*said), [], [])
    moved = composed(*said[:2], "scorer.vlm_server.base_url=http://other/v1")
    manifest.check(before, manifest.of(moved, [], []), tmp_path)
    other = composed(said[0], "scorer.vlm_server.path=n", said[2])
    with pytest.raises(UserError, match=r"scorer\.vlm_server\.path=n: the run in .* began with"):
        manifest.check(before, manifest.of(other, [], []), tmp_path)


def test_a_key_in_the_place_of_its_name_is_never_shown(capsys):
    from imagepipe.cli.checks import refuse_typed_secrets

    for key in ("scorer.api_key_env", "scorer.vlm_server.api_key_env"):
        with pytest.raises(UserError) as caught:
            refuse_typed_secrets([f"{key}=sk-abcdef123456"])
        assert "sk-abcdef" not in str(caught.value)
    with pytest.raises(UserError) as caught:
        refuse_typed_secrets(["scorer.vlm_server.base_url=http://me:hidden@h/v1"])
    assert "hidden" not in str(caught.value)


def test_a_server_that_is_busy_refuses_no_run():
    with serving(script=[(503, {}, "{}")]) as server:
        check(scorer(server))
