"""Any text-to-image pipeline that diffusers loads."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from imagepipe.config import Model
from imagepipe.diffusion import (
    fit,
    limits,
    lora,
    options,
    parts,
    processors,
    quantization,
    random_weights,
    repository,
    tasks,
    vocabulary,
    weighted,
)
from imagepipe.diffusion.rows import TEXTS
from imagepipe.diffusion.weighted import Weighted
from imagepipe.resources.process import whole_gpus
from imagepipe.stages import weights

PROMPTS = 4096  # more than a batch has: of which it is remembered whether they are cut


class DiffusersGenerator:
    """A `DiffusionPipeline` on this process's GPU, or on its CPU without one."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def load(self) -> None:
        """Raises UserError if the weights cannot be used or an option does not fit them."""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipe = load(self.model, device)
        self.takes = inspect.signature(self.pipe.__call__).parameters
        limit = limits.of(self.model, type(self.pipe), self.pipe.components)
        self.cuts = lru_cache(PROMPTS)(lambda prompt: limit.cuts(self._spelt_out(prompt)))
        self.vocabulary = vocabulary.of(self.model)
        self.decodes_in = _decoder_dtype(self.pipe)
        self.arguments = tasks.names(type(self.pipe), self.model.pictures)
        self.mixes = tasks.mixes(type(self.pipe), self.model.pictures)
        self.weighted = (
            Weighted(self.pipe, self.model, device) if self.model.prompt_syntax else None
        )
        self.most = 0
        self.weighed = [one.weight for one in self.model.loras]

    def paint(
        self,
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model] | None = None,
        pictures: list[Mapping[str, np.ndarray]] | None = None,
    ) -> np.ndarray:
        """uint8 (n, height, width, 3). Each picture has its own generator, on the CPU.

        A generator on the CPU gives the same noise on every device. If the pipeline uses input
        pictures as references for its whole batch, it draws one row at a time.
        """
        drawn = drawn or [self.model] * len(prompts)
        inside = pictures or [{}] * len(prompts)
        texts: list[dict[str, Any]] = [{} for _ in prompts]
        groups = [list(range(len(prompts)))]
        if self.weighted:
            self._weigh_loras(drawn[0])
            made = zip(prompts, drawn, strict=True)
            texts = [self.weighted.embeds(prompt, one) for prompt, one in made]
            groups = weighted.together(texts)
        if self.model.pictures and not self.mixes:
            groups = [[place] for place in range(len(prompts))]
        if len(groups) == 1:
            return self._paint(texts, prompts, seeds, drawn, inside)
        rows = list(zip(texts, prompts, seeds, drawn, inside, strict=True))
        images = []
        for group in groups:
            some: Any = zip(*(rows[place] for place in group), strict=True)
            images.append(self._paint(*map(list, some)))
        places = [place for group in groups for place in group]
        return np.concatenate(images)[np.argsort(places)]

    def _paint(
        self,
        texts: list[dict[str, Any]],
        prompts: list[str],
        seeds: list[int],
        drawn: list[Model],
        inside: list[Mapping[str, np.ndarray]],
    ) -> np.ndarray:
        import torch

        if self.most == 0:  # the first batch, or the one after a failure
            self._mend()
        # A compiled model would be compiled again for the smaller last batch.
        most = max(self.most if self.model.compile else 0, len(prompts))
        rows = [*range(len(prompts)), *[-1] * (most - len(prompts))]
        self._weigh_loras(drawn[0])
        self.most = 0  # so that the halves of what does not fit are not padded to it again
        noise = [torch.Generator("cpu").manual_seed(seeds[row]) for row in rows]
        _draw_noise_from(noise, self.pipe)
        told = arguments([drawn[row] for row in rows], self.takes)
        if self.weighted:
            told = {name: value for name, value in told.items() if name not in weighted.TEXTS}
            told |= weighted.joined([texts[row] for row in rows])
        else:
            told["prompt"] = [prompts[row] for row in rows]  # its own: some pipelines change it
        images = self.pipe(
            generator=noise,
            output_type="pt",
            **told,
            **self._going_in([inside[row] for row in rows]),
        ).images
        self.most = most
        if len(images) != len(rows):
            raise RuntimeError(f"the model drew {len(images)} pictures for {len(rows)} prompts")
        for prompt in prompts:  # the caller will ask, and now a GPU is still drawing
            self.is_cut(prompt)
        return _as_bytes(images[: len(prompts)])

    def _going_in(self, inside: list[Mapping[str, np.ndarray]]) -> dict[str, Any]:
        """The input pictures by the pipeline's arguments: a list with one per row, for a
        pipeline that does not mix rows.
        """
        from PIL import Image

        found: dict[str, Any] = {}
        for key, argument in self.arguments.items():
            found.setdefault(argument, []).extend(Image.fromarray(one[key]) for one in inside)
        if self.mixes:
            return found
        return {name: some if some[1:] else some[0] for name, some in found.items()}

    def _weigh_loras(self, drawn: Model) -> None:
        weighed = [one.weight for one in drawn.loras]
        if weighed != self.weighed:
            self.pipe.set_adapters(lora.adapters(drawn), weighed)
            self.weighed = weighed

    def _mend(self) -> None:
        """Undo what a call that failed half-way leaves, such as one that ran out of memory.

        SDXL's VAE then stays in float32, and with model.offload=model on the GPU. Not at once: the
        error's stack holds the memory that this may need.
        """
        if _decoder_dtype(self.pipe) != self.decodes_in:
            self.pipe.vae.to(self.decodes_in)
        self.pipe.maybe_free_model_hooks()

    def is_cut(self, prompt: str) -> bool:
        """Whether the text encoder never sees the end of `prompt`."""
        return self.cuts(prompt)

    def _spelt_out(self, prompt: str) -> str:
        """With one word per embedding of a textual inversion."""
        if not self.model.textual_inversions:
            return prompt
        return str(self.pipe.maybe_convert_prompt(prompt, self.pipe.tokenizer))

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of `prompt` that are not in the model's `words.txt`, if it has one."""
        return vocabulary.unknown(self.vocabulary, prompt)


def arguments(drawn: Sequence[Model], takes: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a pipeline's call, besides prompts, noise and pictures.

    `drawn` are the settings for each picture, equal except for texts; `takes` are the parameters of
    the call.
    """
    model = drawn[0]
    told: dict[str, Any] = {
        "num_inference_steps": model.steps,
        "guidance_scale": model.guidance,
        "width": model.width,
        "height": model.height,
    }
    if model.pictures and "width" not in takes:
        del told["width"], told["height"]  # it draws in the size of what goes in
    if "max_area" in takes:
        told["max_area"] = model.width * model.height  # FLUX Kontext's own is a million pixels
    if guides_truly(takes):
        told["true_cfg_scale"] = told.pop("guidance_scale")
    if "use_resolution_binning" in takes:
        told["use_resolution_binning"] = False  # drawn at the size asked for, not near it
    if "clean_caption" in takes:
        told["clean_caption"] = False  # else it depends on what else is installed
    if "intermediate_timesteps" in takes and model.steps != 2:
        told["intermediate_timesteps"] = None  # Sana-Sprint's own is for two steps
    if model.max_sequence_length is not None:
        told["max_sequence_length"] = model.max_sequence_length
    least = " " if "true_cfg_scale" in told and model.guidance > 1 else None
    if least or model.negative_prompt is not None:  # without one Qwen-Image would not guide at all
        told["negative_prompt"] = [one.negative_prompt or least or "" for one in drawn]
    for name, value in model.call_kwargs.items():
        is_text = TEXTS.fullmatch(name)  # of each picture, as the prompt is
        told[name] = [one.call_kwargs[name] for one in drawn] if is_text else value
    return told


def guides_truly(takes: Mapping[str, Any]) -> bool:
    """Whether `model.guidance` is its `true_cfg_scale`.

    So it is in Qwen-Image's pipelines; in others `guidance_scale` is not only for distilled models.
    """
    distilled = takes.get("guidance_scale")
    return "true_cfg_scale" in takes and (distilled is None or distilled.default is None)


def _draw_noise_from(generators: list[Any], pipe: Any) -> None:
    """Also the scheduler's noise: flow pipelines give the scheduler no generator, so it would
    use torch's own.
    """
    scheduler: Any = getattr(pipe, "scheduler", None)
    step = getattr(type(scheduler), "step", None)
    if step is not None and "generator" in inspect.signature(step).parameters:
        scheduler.step = partial(step, scheduler, generator=generators)


def _decoder_dtype(pipe: Any) -> Any:
    """torch's dtype, or null if the pipeline has no `vae`."""
    return getattr(getattr(pipe, "vae", None), "dtype", None)


def _as_bytes(images: Any) -> np.ndarray:
    """uint8 (n, height, width, 3) from a tensor (n, 3, height, width) from 0 to 1, on its own
    device.

    So a GPU returns bytes, not numbers that the CPU would have to round. A picture with NaN becomes
    black.
    """
    import torch

    images = images.float()
    finite = torch.isfinite(images).all(dim=(1, 2, 3), keepdim=True)
    levels = (torch.where(finite, images, 0) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def load(model: Model, device: str) -> Any:
    """The pipeline as `model` describes it, ready to draw on `device`."""
    repository.quiet()
    dtype = weights.dtype(model.dtype, device)
    if model.weights == "random":
        described = repository.describe(model)
        first = device if model.offload == "none" else "cpu"  # which may hold what a GPU cannot
        given = parts.given(model, described, first, dtype)
        pipe = random_weights.pipeline(model, first, dtype, **given)
    else:
        described = repository.read(repository.fetch(model))
        pipe = _trained(model, described, device, dtype)
        fit.check_tokens(model, pipe.components)
    limits.fill_positions(pipe.components, described.configs)
    options.configure(pipe, model)
    options.place(pipe, model, device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _trained(model: Model, described: repository.Description, device: str, dtype: Any) -> Any:
    import diffusers

    parts.check(model, described)
    # Null of a pipeline that comes with the model as code, which is loaded by its name.
    own = getattr(diffusers, str(described.index["_class_name"]), None)
    kind = tasks.of_pictures(own, model) if own else diffusers.DiffusionPipeline
    return kind.from_pretrained(
        described.folder,
        variant=model.variant,
        dtype=dtype,
        use_safetensors=repository.safetensors_only(model),
        trust_remote_code=model.trust_remote_code,
        quantization_config=quantization.config(model, described, device),
        device_map=options.device_map(whole_gpus()),
        **parts.given(model, described, device, dtype),
        **processors.given(described),
    )
