"""Pictures from a server that speaks OpenAI's `/images/generations` and `/images/edits`, such as
vLLM-Omni or SGLang.

The client, its retries and what is refused before a run are those of `llm.engine=openai`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np

from imagepipe.config import Model, Server
from imagepipe.diffusion import Painted, fitting, image_request, web
from imagepipe.diffusion.refusals import refused
from imagepipe.servers import endpoint, trial
from imagepipe.servers.client import Asker

TRIAL = ("a red cat wearing a hat", 0)  # the prompt and seed of the question before a run
# What a request is made of, and what imagepipe itself heeds; all else is decided at the server.
HEEDED = {
    *(one.name for one in fields(Server)),
    *("licence", "non_commercial", "steps", "guidance", "negative_prompt", "width", "height"),
    *("call_kwargs", "columns", "images_per_prompt", "weights_gb", "private_urls", "fit"),
    *("request_names", "request_in_prompt"),
}
REFERENCE = re.compile(r"image(_\d)?")  # keys of pictures that go in
SIZE = (
    "Draw in a size that it takes: model.width=1024 model.height=1024. Where it has one size and "
    "takes none, leave it out too: 'model.request={size: null}'."
)


class OtherSize(ValueError):
    """A server that draws in another size than it was asked for."""


def check(model: Model) -> None:
    """Ask the server for its model, or for a picture (`diffusion.trial_note`). Raises UserError
    where it cannot be used as configured.
    """
    endpoint.check_secrets(model)
    trial.check_given(model)
    usual = Model()
    for key in (one.name for one in fields(Model) if one.name not in HEEDED):
        if getattr(model, key) != getattr(usual, key):
            raise refused(
                key,
                getattr(model, key),
                f"is for models that run here, but model.engine={model.engine} asks a server, "
                "which has its own",
                "Leave it out.",
            )
    image_request.check(model)
    if model.pictures:
        check_pictures(model)
    if model.api_key_env is not None and trial.lists(model):
        return  # a picture may be charged to that key
    grey = np.full((model.height, model.width, 3), 127, np.uint8)
    asked = image_request.question(model, *TRIAL, dict.fromkeys(model.pictures, grey))
    trial.ask(model, asked, partial(_tried, model), {"size": SIZE})


def check_pictures(model: Model) -> None:
    """Raise UserError for pictures that the interface has no place for."""
    for key, column in model.pictures.items():
        if key != image_request.MASK and not REFERENCE.fullmatch(key):
            said = "is a picture that servers do not accept"
            raise refused(f"columns.{key}", column, said, "Leave it out.")
    if "image" not in model.pictures:
        key, column = next(iter(model.pictures.items()))
        said = "needs an input picture, and there is none"
        raise refused(f"columns.{key}", column, said, "Name its column: model.columns.image=...")


def _tried(model: Model, body: str) -> None:
    try:
        picture(model, body)
    except OtherSize as error:
        raise refused("width", model.width, str(error), SIZE) from None


class OpenAIGenerator:
    """Asks for all pictures of a batch at once; one that is not given fails alone."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.asker: Any = None

    def load(self) -> None:
        self.asker = Asker(self.model)

    def paint(
        self,
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model] | None = None,
        pictures: list[Mapping[str, np.ndarray]] | None = None,
    ) -> Painted:
        """uint8 (n, height, width, 3); black where the server gave no picture, and why."""
        models = drawn or [self.model] * len(prompts)
        inside = pictures or [{}] * len(prompts)
        asked = [
            image_request.question(*one) for one in zip(models, prompts, seeds, inside, strict=True)
        ]
        said = self.asker.answers(asked, partial(picture, models[0]))  # all are of one size
        none = np.zeros((models[0].height, models[0].width, 3), np.uint8)
        images = np.stack([none if image is None else image for image, _ in said])
        return Painted(images, [why for _, why in said])

    def is_cut(self, prompt: str) -> bool:
        """The server does not say."""
        return False

    def unknown_words(self, prompt: str) -> list[str]:
        """The server does not say."""
        return []


def picture(model: Model, body: str) -> np.ndarray:
    """The picture in an answer: uint8 (height, width, 3) in the size of `model`.

    Raises ValueError where there is none, OtherSize where it is of another size, and
    `fitting.Unusable` or `web.Unfetched` where it cannot be read.
    """
    try:
        said = json.loads(body)["data"]
        (held,) = said
        text, url = held.get("b64_json"), held.get("url")
        if not isinstance(text or url, str):
            raise LookupError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"the server's answer is not a picture: {body}") from None
    content = base64.b64decode(text.rpartition(",")[2]) if text else _fetched(model, url)
    found = fitting.decoded(content)
    if found.size != (model.width, model.height):
        raise OtherSize(
            f"the server drew {found.width}x{found.height} pixels, and was asked for "
            f"{model.width}x{model.height}"
        )
    return fitting.pixels(found)


def _fetched(model: Model, url: str) -> bytes:
    """What is at `url`, which the server names: an address of its own, or a public one."""
    if url.startswith("data:"):
        return base64.b64decode(url.partition(",")[2])
    base = f"{endpoint.parted(model.base_url or '')[0]}/"
    where = urlsplit(urljoin(base, url))
    if where.scheme not in ("http", "https"):
        raise ValueError(f"the server's answer names what is not a web address: {url}")
    is_own = where.hostname == urlsplit(base).hostname or model.private_urls
    return web.fetch(where.geturl(), web.MOST_BYTES, None if is_own else web.is_private)
