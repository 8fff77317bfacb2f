"""Checks before a run: is everything that a scorer's model needs available?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imagepipe.config import Distance, Scorer
from imagepipe.errors import UserError, one_line
from imagepipe.stages import loading, numbers, weights

Section = Scorer | Distance  # that names a CLIP
PROCESSORS = ("processor_config.json", "preprocessor_config.json")  # new, old


def config_of(scorer: Scorer) -> Any:
    """The configuration of a model of transformers; null if it is still to be fetched.

    Raises UserError if there is no model, or none without code of its own.
    """
    field = f"{scorer.section}.path"
    path = weights.check_path(field, scorer.path)
    weights.check_code(field, path, scorer.revision)
    if weights.here(path, scorer.revision) is None:
        return None
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(str(weights.locate(path)), revision=scorer.revision)


def check(scorer: Section, model_class: Callable[[], Any], processor: str) -> None:
    """Raise UserError if weights are not a CLIP's of `model_class`, or have no processor that
    the class of transformers with the name `processor` reads.
    """
    config = _described(scorer)
    _check_kind(scorer, config)
    loading.check_fit(f"{scorer.section}.path", scorer.path, scorer.revision, model_class)
    looks = weights.locate(scorer.processor or scorer.path or "")
    if isinstance(looks, Path):
        _check_processor(scorer, looks, processor, config)
    elif scorer.processor is not None:
        weights.check(f"{scorer.section}.processor", scorer.processor, None, "config.json")


def _described(scorer: Section) -> dict[str, Any]:
    """The content of the model's config.json; empty if it is not downloaded yet."""
    where = weights.here(scorer.path or "", scorer.revision)
    if where is None:
        return {}
    return weights.described(f"{scorer.section}.path", scorer.path, where / "config.json")


def _check_kind(scorer: Section, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    if not str(kind or "clip").startswith("clip"):
        raise UserError(
            field=f"{scorer.section}.path",
            value=scorer.path,
            problem=f"its config.json says {kind}, and {scorer.section}.engine={scorer.engine} "
            "takes a CLIP",
            remedy="Name a CLIP, or write a class of your own for it "
            f"({scorer.section}.engine=custom).",
        )


def _check_processor(scorer: Section, folder: Path, processor: str, config: dict[str, Any]) -> None:
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise UserError(
            field=f"{scorer.section}.processor",
            value=scorer.processor,
            problem=f"{folder} holds no processor (neither {' nor '.join(PROCESSORS)})",
            remedy="Name a folder that holds one, or a model of the hub as owner/name.",
        )
    key, path = ("processor", scorer.processor) if scorer.processor else ("path", scorer.path)
    field = f"{scorer.section}.{key}"
    if str(path).startswith("asset:"):
        return
    import transformers

    try:
        with weights.readable(field, path, folder):
            made = getattr(transformers, processor).from_pretrained(folder)
            black = np.zeros((32, 48, 3), np.uint8)
            shape = made(images=[black], return_tensors="np")["pixel_values"].shape
            if tokenizer := getattr(made, "tokenizer", None):
                numbers.check_tokenizer(field, path, folder, tokenizer)
                made(text=["a", "a b"], padding=True, truncation=True)  # as the engine asks it
    except OSError as error:
        raise weights.broken(field, path, folder, one_line(error)) from error
    _check_size(field, path, shape, config)


def _check_size(field: str, path: object, shape: tuple[int, ...], config: dict[str, Any]) -> None:
    """`shape` is (1, 3, height, width), what a processor makes of a picture."""
    vision = config.get("vision_config")
    side = vision.get("image_size") if isinstance(vision, dict) else None
    if isinstance(side, int) and shape[2:] != (side, side):
        raise UserError(
            field=field,
            value=path,
            problem=f"its processor makes pictures of {shape[3]}x{shape[2]} pixels, and the model "
            f"takes {side}x{side}",
            remedy="Name the processor that was made for the model.",
        )
