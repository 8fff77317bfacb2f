"""Any text-to-image pipeline that diffusers loads."""

from __future__ import annotations

import inspect
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from imagepipe import weights
from imagepipe.config import Model, did_you_mean
from imagepipe.diffusion.limits import PromptLimit
from imagepipe.errors import UserError

WORD = re.compile(r"[^\W\d_]+")


class DiffusersPainter:
    """Loads `AutoPipelineForText2Image` onto this process's GPU, or its CPU where it has none."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def load(self) -> None:
        """Raises what diffusers raises where the weights cannot be used."""
        import torch

        self.pipe = _load(self.model, "cuda" if torch.cuda.is_available() else "cpu")
        self.limit = PromptLimit(
            tokenizer
            for name, tokenizer in sorted(self.pipe.components.items())
            if name.startswith("tokenizer") and tokenizer is not None
        )
        self.vocabulary = _vocabulary(self.model)

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        """uint8 (n, height, width, 3). Each picture has a generator of its own, on the CPU.

        A generator on the CPU gives the same noise on every device.
        """
        import torch

        images = self.pipe(
            prompt=prompts,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="np",
            **self._arguments(len(prompts)),
        ).images
        if len(images) != len(prompts):
            raise RuntimeError(f"the model drew {len(images)} pictures for {len(prompts)} prompts")
        finite = np.isfinite(images).all(axis=(1, 2, 3), keepdims=True)
        return (np.where(finite, images, 0) * 255).round().astype(np.uint8)

    def _arguments(self, rows: int) -> dict[str, Any]:
        model = self.model
        arguments: dict[str, Any] = {
            "num_inference_steps": model.steps,
            "guidance_scale": model.guidance,
            "width": model.width,
            "height": model.height,
        }
        if model.negative_prompt is not None:
            arguments["negative_prompt"] = [model.negative_prompt] * rows
        return arguments

    def is_cut(self, prompt: str) -> bool:
        """Whether a text encoder loses the end of `prompt`."""
        return self.limit.cuts(prompt)

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of `prompt` that are not in the model's `words.txt`, where it has one."""
        if self.vocabulary is None:
            return []
        words = dict.fromkeys(WORD.findall(prompt.lower()))
        return [word for word in words if word not in self.vocabulary]


def check(model: Model) -> None:
    """On the driver, before anything starts: is the model there, and does it take the options?

    Raises UserError, also for a scheduler that diffusers does not have.
    """
    where = weights.check("model.path", model.path, model.revision, "model_index.json")
    _check_scheduler(model)
    if model.negative_prompt is not None and isinstance(where, Path):
        _check_negative_prompt(where, model)


def _check_negative_prompt(where: Path, model: Model) -> None:
    import diffusers

    name = json.loads((where / "model_index.json").read_text("utf-8"))["_class_name"]
    if "negative_prompt" not in inspect.signature(getattr(diffusers, name).__call__).parameters:
        raise UserError(
            field="model.negative_prompt",
            value=model.negative_prompt,
            problem=f"{name} takes no negative prompt",
            remedy="Set it to null.",
        )


def _check_scheduler(model: Model) -> None:
    if model.scheduler is None:
        return
    import diffusers

    known = [name for name in dir(diffusers) if name.endswith("Scheduler")]
    if model.scheduler not in known:
        raise UserError(
            field="model.scheduler",
            value=model.scheduler,
            problem="is not a scheduler of diffusers",
            remedy=did_you_mean(model.scheduler, known)
            or "For example EulerDiscreteScheduler or DPMSolverMultistepScheduler.",
        )


def _load(model: Model, device: str) -> Any:
    import diffusers
    import torch

    diffusers.utils.logging.set_verbosity_error()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    automatic = "float16" if device == "cuda" else "float32"
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(
        str(weights.locate(model.path or "")),
        revision=model.revision,
        variant=model.variant,
        torch_dtype=getattr(torch, automatic if model.dtype == "auto" else model.dtype),
        use_safetensors=True,
    )
    if model.scheduler is not None:
        kind = getattr(diffusers, model.scheduler)
        pipe.scheduler = kind.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _vocabulary(model: Model) -> frozenset[str] | None:
    """The words that a model with a closed vocabulary was trained on, one a line."""
    words = Path(weights.locate(model.path or "")) / "words.txt"
    if not words.is_file():
        return None
    return frozenset(words.read_text("utf-8").split())
