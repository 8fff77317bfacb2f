"""What a server is asked for one picture: OpenAI's fields, and settings by the server's names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from imagepipe.config import Model
from imagepipe.diffusion.refusals import refused
from imagepipe.servers.client import SEEDS, Question

MASK = "mask_image"
# What a request calls each setting of the model, beside OpenAI's own names as vLLM-Omni and SGLang
# do; `model.request_names` has others. A dot leads into a field.
NAMES = {
    "seed": "seed",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "negative_prompt": "negative_prompt",
    "size": "size",
    MASK: "mask",
}


def question(
    model: Model, prompt: str, seed: int, pictures: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Question:
    """What is asked for one picture, into which `pictures` go, by their keys of `model.columns`."""
    asked = _nested(fields(model, seed))
    tag = model.request_in_prompt
    if tag in asked:
        prompt += f"<{tag}>{json.dumps(asked.pop(tag))}</{tag}>"
    fixed = {"model": model.path, "prompt": prompt}
    files = tuple(_files(pictures, names(model)[MASK]))
    return Question(
        f"/images/{'edits' if files else 'generations'}", "pictures", fixed, asked, files
    )


def names(model: Model) -> dict[str, str]:
    return {**NAMES, **model.request_names}


def fields(model: Model, seed: int) -> dict[str, Any]:
    """All but the model, the prompt and pictures: values by names with dots."""
    told = names(model)
    settings = {
        "seed": seed % SEEDS,
        "steps": model.steps,
        "guidance": model.guidance,
        "negative_prompt": model.negative_prompt,
        "size": f"{model.width}x{model.height}",
    }
    asked = {
        "n": 1,
        **{told[key]: value for key, value in settings.items()},
        "response_format": "b64_json",
        "output_format": "png",  # SGLang's own is JPEG, which changes pixels
        **_flat(model.call_kwargs),
        **_flat(model.request),
    }
    return {name: value for name, value in asked.items() if value is not None}


def unsent(model: Model) -> list[str]:
    """The settings that the server is not told, by their names in NAMES."""
    sent = fields(model, 0)
    return [key for key, name in names(model).items() if key != MASK and name not in sent]


def check(model: Model) -> None:
    """Raise UserError for a request that cannot be made, that leaves out what its rows decide, or
    that says something else than each picture says of itself.
    """
    _check_names(model)
    _check_sent(model)
    _check_told(model)


def _check_names(model: Model) -> None:
    for key, name in model.request_names.items():
        if key not in NAMES:
            said, remedy = "is no setting of a request", f"Use one of: {', '.join(NAMES)}."
            raise refused(f"request_names.{key}", name, said, remedy)
    every = {*names(model).values(), *_flat(model.call_kwargs), *_flat(model.request)}
    for name in sorted(every | model.columns.keys()):
        if inside := next((one for one in every if one.startswith(f"{name}.")), None):
            said = f"is a field with others inside ({inside}), and cannot be given as a whole"
            raise refused(f"request.{name}", model.request.get(name), said, "Give those inside.")


def _check_sent(model: Model) -> None:
    request = _flat(model.request)
    given = {f"columns.{key}": column for key, column in model.columns.items()}
    if model.negative_prompt:
        given["negative_prompt"] = model.negative_prompt
    for key, name in names(model).items():
        field = next((one for one in (key, f"columns.{key}") if one in given), None)
        if field and request.get(name, name) is None:
            said = f"the server is not told of it: model.request leaves {name} out"
            raise refused(field, given[field], said, "Leave it out.")


def _check_told(model: Model) -> None:
    """Servers write a size in several ways, and what comes back is looked at."""
    ours = fields(replace(model, call_kwargs={}, request={}), 0)
    settings = {key: name for key, name in names(model).items() if key not in ("size", MASK)}
    others = {
        "call_kwargs": _flat(model.call_kwargs),
        "request": _flat(model.request),
        "columns": model.columns,
    }
    for key, name in settings.items():
        for field, held in others.items():
            if field == "columns" and name == key:  # it is the setting's own column
                continue
            value = held.get(name)
            same = field != "columns" and key != "seed" and value == ours.get(name)
            if value is None or same:
                continue
            remedy = f"Use model.{key}, or model.columns.{key}."
            said = "differs from what each picture's metadata would say"
            raise refused(f"{field}.{name}", value, said, remedy.replace("model.seed", "seed"))


def _flat(held: Mapping[str, Any]) -> dict[str, Any]:
    """{a: {b: 1}} as {a.b: 1}."""
    found: dict[str, Any] = {}
    for key, value in held.items():
        inside = _flat(value) if isinstance(value, Mapping) else {}
        found |= {f"{key}.{name}": one for name, one in inside.items()} or {key: value}
    return found


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{a.b: 1} as {a: {b: 1}}."""
    whole: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = name.split(".")
        place = whole
        for one in outer:
            place = place.setdefault(one, {})
        place[last] = value
    return whole


def _files(pictures: Mapping[str, np.ndarray], mask: str) -> Iterator[tuple[str, bytes]]:
    """PNGs by the fields of a form: `image`, of several `image[]`, and the mask."""
    keys = sorted(key for key in pictures if key != MASK)
    for key in keys:
        yield ("image" if len(keys) == 1 else "image[]"), _png(pictures[key])
    if MASK in pictures:  # white is drawn anew; to OpenAI it is what is transparent
        kept = 255 - pictures[MASK].max(axis=2)
        yield mask, _png(np.dstack([pictures[MASK], kept]))


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
