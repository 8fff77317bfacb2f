"""What each kind of image server is told by its preset, and what it would not hear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.configs import composed
from helpers.image_servers import (
    OWN,
    Heard,
    HearingServer,
    hearing,
    localai,
    sd_cpp,
    sglang,
    vllm_omni,
)

from imagepipe.config import Model
from imagepipe.diffusion import check, make, unsent
from imagepipe.errors import UserError

KINDS = {
    "vllm_omni_server": vllm_omni,
    "sglang_server": sglang,
    "sd_cpp_server": sd_cpp,
    "localai_server": localai,
}
NO_NEGATIVE = ("localai_server",)
EXTRA = "sd_cpp_extra_args"
EVERY = pytest.mark.parametrize("preset", KINDS)


def model(preset: str, server: HearingServer, **changes: Any) -> Model:
    small = {"path": "m", "base_url": server.url, "width": 16, "height": 8, "max_retries": 0}
    return replace(composed(f"model={preset}", "llm=none").model, **small | changes)


def heard(
    server: HearingServer, drawn: list[Model], pictures: list[dict[str, np.ndarray]] | None = None
) -> list[Heard]:
    generator = make(drawn[0])
    generator.load()
    prompts = [f"a cat {n}" for n in range(len(drawn))]
    found = generator.paint(prompts, [n + 5 for n in range(len(drawn))], drawn, pictures)
    assert found.reasons == [None] * len(drawn)
    assert [int(image[0, 0, 0]) for image in found.images] == [n + 6 for n in range(len(drawn))]
    return sorted(server.heard, key=lambda one: one.prompt)


def refusal(asked: Model) -> str:
    with pytest.raises(UserError) as caught:
        check(asked)
    return str(caught.value)


@EVERY
def test_a_server_hears_the_settings_of_each_row(preset: str):
    no = [None, None] if preset in NO_NEGATIVE else ["fog", 'a "sign" \\']
    with hearing(KINDS[preset]) as server:
        usual = model(preset, server, guidance=2.5)
        check(usual)
        server.heard.clear()
        found = heard(
            server,
            [replace(usual, steps=7 + n, negative_prompt=text) for n, text in enumerate(no)],
        )
    guidance = OWN if preset == "localai_server" else 2.5
    assert found == [
        Heard(f"a cat {n}", "16x8", 5 + n, 7 + n, guidance, no[n]) for n in range(len(no))
    ]


@EVERY
def test_a_picture_says_what_its_server_was_told(preset: str):
    with hearing(KINDS[preset]) as server:
        told = {"negative_prompt"} | ({"guidance"} if preset == "localai_server" else set())
        assert set(unsent(model(preset, server))) == told


@pytest.mark.parametrize("preset", ["vllm_omni_server", "sd_cpp_server"])
def test_a_server_draws_anew_where_the_mask_is_white(preset: str):
    columns = {"image": "photo", "mask_image": "m"}
    photo, mask = (np.full((8, 16, 3), level, np.uint8) for level in (10, 0))
    mask[:, 8:] = 255
    with hearing(KINDS[preset]) as server:
        asked = model(preset, server, columns=columns)
        (found,) = heard(server, [asked], [{"image": photo, "mask_image": mask}])
    assert found.pictures == 1
    assert found.mask == mask[..., 0].tobytes()


@pytest.mark.parametrize(
    ("preset", "columns", "said"),
    [
        ("sglang_server", {"image": "i", "mask_image": "m"}, "columns.mask_image=m: the server is"),
        ("localai_server", {"image": "i"}, "there are no pictures at"),
        ("localai_server", {"negative_prompt": "no"}, "columns.negative_prompt=no: the server is"),
        ("gpt_image", {"steps": "n"}, "model.request leaves num_inference_steps out"),
        ("gpt_image", {"negative_prompt": "no"}, "model.request leaves negative_prompt out"),
        ("gpt_image", {"seed": "s"}, "columns.seed=s: the server is not told of it"),
    ],
    ids=["mask", "edit", "negative", "steps", "hosted", "seed"],
)
def test_what_a_server_would_not_hear_is_refused(preset, columns, said):
    with hearing(KINDS.get(preset, vllm_omni)) as server:
        assert said in refusal(model(preset, server, columns=columns, api_key_env=None))
        assert not server.heard


def test_a_negative_prompt_that_a_server_would_not_hear_is_refused():
    with hearing(localai) as server:
        said = refusal(model("localai_server", server, negative_prompt="fog"))
    assert said.startswith("model.negative_prompt=fog: the server is not told of it")


def test_more_fields_go_beside_the_settings_inside_a_prompt():
    with hearing(sd_cpp) as server:
        asked = model("sd_cpp_server", server, request={EXTRA: {"strength": 0.6}})
        check(asked)
        (found,) = server.heard
    assert (found.strength, found.seed, found.steps) == (0.6, 0, asked.steps)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request": {EXTRA: {"seed": 5}}}, f"model.request.{EXTRA}.seed=5: differs from what"),
        ({"request": {EXTRA: 5}}, f"model.request.{EXTRA}=5: is a field with others inside"),
        (
            {"request_names": {"stepz": "s"}},
            "stepz=s: is no setting of a request. Use one of: seed",
        ),
    ],
    ids=["seed", "whole", "name"],
)
def test_a_request_that_would_say_something_else_is_refused(changes, said):
    with hearing(sd_cpp) as server:
        assert said in refusal(model("sd_cpp_server", server, **changes))
        assert not server.heard


@pytest.mark.parametrize(
    ("preset", "changes", "said"),
    [
        ("vllm_omni_server", {"path": "x"}, "server is running 'm'"),
        ("vllm_omni_server", {"steps": 300}, "less than or equal to 200"),
        ("sglang_server", {"request": {"n": "x"}}, "does not take: 'model.request={n: null}'"),
        ("sd_cpp_server", {"request": {"output_format": "gif"}}, "must be one of [png, jpeg]"),
        ("localai_server", {"path": "x"}, "model.path=x: the server refuses the question"),
    ],
    ids=["model", "steps", "count", "format", "not-found"],
)
def test_the_words_of_a_server_that_refuses_are_told(preset, changes, said):
    with hearing(KINDS[preset]) as server:
        assert said in refusal(model(preset, server, **changes))
