"""Image servers as they are: what each hears of a request, and what it says to one that it refuses.

After vLLM-Omni's `entrypoints/openai/api_server.py`, SGLang's
`multimodal_gen/runtime/entrypoints/openai/image_api.py`, stable-diffusion.cpp's
`examples/server/routes_openai.cpp` and LocalAI's `core/http/endpoints/openai/image.go`.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from helpers.chat_server import running
from helpers.image_server import ImageServer, answer, png
from PIL import Image

OWN = "the server's own"  # of a setting that it was not told


@dataclass(frozen=True)
class Heard:
    """What a server draws, and from what; `mask` is grey, white where it draws anew."""

    prompt: str
    size: str
    seed: int
    steps: Any = OWN
    guidance: Any = OWN
    negative: str | None = None
    format: str = "png"
    pictures: int = 0
    mask: bytes | None = None
    strength: Any = OWN


class Refusal(Exception):
    """A status and a body."""


def vllm_omni(asked: dict[str, Any]) -> Heard:
    if asked["model"] != "m":
        said = f"Model mismatch: request specifies '{asked['model']}' but server is running 'm'."
        raise Refusal(400, {"error": {"message": said, "type": "Bad Request", "code": 400}})
    if int(asked["num_inference_steps"]) > 200:
        said = "body.num_inference_steps: Input should be less than or equal to 200"
        raise Refusal(400, {"error": {"message": said, "type": "Bad Request", "code": 400}})
    return by_form(asked, 0, mask="mask_image", own_format="png")


def sglang(asked: dict[str, Any]) -> Heard:
    if not str(asked["n"]).isdecimal():
        place = {"loc": ["body", "n"], "msg": "Input should be a valid integer"}
        raise Refusal(422, {"detail": [{"type": "int_parsing", **place}]})
    return by_form(asked, 1024, mask=None, own_format="jpg")


def sd_cpp(asked: dict[str, Any]) -> Heard:
    """It knows prompt, n, size, output_format and pictures, and what is in the prompt."""
    inside = re.search("<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>", asked["prompt"])
    extra = json.loads(inside[1]) if inside else {}
    sampled = extra.get("sample_params", {})
    if asked.get("output_format", "png") not in ("png", "jpeg"):
        raise Refusal(400, {"error": "invalid output_format, must be one of [png, jpeg]"})
    return Heard(
        re.sub("<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>", "", asked["prompt"]),
        asked.get("size", "512x512"),
        extra.get("seed", 42),
        sampled.get("sample_steps", OWN),
        sampled.get("guidance", {}).get("txt_cfg", OWN),
        extra.get("negative_prompt"),
        pictures=len(files(asked, "image[]") or files(asked, "image")),
        mask=grey(asked, "mask"),
        strength=extra.get("strength", OWN),
    )


def localai(asked: dict[str, Any]) -> Heard:
    if "files" in asked:
        raise Refusal(404, {"error": {"message": "Resource not found", "code": 404}})
    if asked["model"] != "m":
        said = f'model "{asked["model"]}" not found. To see available models, call GET /v1/models'
        raise Refusal(404, {"error": {"message": said, "code": 404}})
    prompt, _, negative = asked["prompt"].partition("|")
    steps = asked.get("step", OWN)
    return Heard(prompt, asked["size"], asked.get("seed", -1), steps, negative=negative or None)


def by_form(asked: dict[str, Any], seed: int, mask: str | None, own_format: str) -> Heard:
    """By diffusers' names; of a form, whose values are texts, or of JSON."""
    return Heard(
        asked["prompt"],
        asked["size"],
        int(asked.get("seed", seed)),
        int(asked["num_inference_steps"]),
        float(asked["guidance_scale"]),
        asked.get("negative_prompt"),
        asked.get("output_format", own_format),
        len(files(asked, "image") or files(asked, "image[]")),
        grey(asked, mask) if mask else None,
    )


def files(asked: dict[str, Any], name: str) -> list[bytes]:
    return [held for given, held in asked.get("files", ()) if given == name]


def grey(asked: dict[str, Any], name: str) -> bytes | None:
    """The grey levels of a picture, without heed of its transparency."""
    found = files(asked, name)
    return Image.open(io.BytesIO(found[0])).convert("L").tobytes() if found else None


@dataclass
class HearingServer(ImageServer):
    """One that hears a request by `hears`, and keeps what it heard."""

    hears: Callable[[dict[str, Any]], Heard] = vllm_omni
    heard: list[Heard] = field(default_factory=list)

    def reply(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        try:
            found = self.hears(asked)
        except Refusal as error:
            status, body = error.args
            return status, {}, json.dumps(body)
        with self.lock:
            self.heard.append(found)
        drawn = png(found.size, found.seed)
        return 200, {}, answer({"b64_json": base64.b64encode(drawn).decode()})


def hearing(hears: Callable[[dict[str, Any]], Heard]) -> AbstractContextManager[HearingServer]:
    """A server on a free port, stopped again at the end."""
    return running(HearingServer(hears=hears))
