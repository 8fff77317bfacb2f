"""Prompt weights and prompts of any length: compel's embeddings instead of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from imagepipe.config import Model
from imagepipe.diffusion.refusals import refused

if TYPE_CHECKING:
    import torch

# What compel has for pipelines of such names; those of other encoders it would cut or not weigh.
KINDS = {
    re.compile(r"StableDiffusionXL(?!.*ControlNetUnion)"): "CompelForSDXL",
    re.compile(r"StableDiffusion(?!XL|3)"): "CompelForSD",
}
WEIGHT = re.compile(r"(.*):\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*", re.DOTALL)
TEXTS = ("negative_prompt", "prompt_2", "negative_prompt_2")  # which embeddings stand for


def check(model: Model, kind: Any) -> None:
    """Raise UserError if prompts for a pipeline of class `kind` cannot be weighed."""
    key, value = "prompt_syntax", model.prompt_syntax
    if _class_name(kind) is None:
        said = f"weighs prompts for CLIP, and {kind.__name__} has other text encoders"
        raise refused(key, value, said, "Set it to null, or name a Stable Diffusion or SDXL.")
    if find_spec("compel") is None:
        said = "its package is not installed here"
        raise refused(key, value, said, "pip install 'imagepipe[compel]'")
    if "clip_skip" in model.call_kwargs:
        said = "has no effect on prompts that compel reads"
        raise refused(
            "call_kwargs.clip_skip", model.call_kwargs["clip_skip"], said, "Leave it out."
        )


def translated(prompt: str) -> str:
    """`(word:1.3)`, as most tools have it, as compel has it: `(word)1.3`."""
    out: list[str] = []
    opened: list[int] = []
    for place, sign in enumerate(prompt):
        out.append(sign)
        if place and prompt[place - 1] == "\\":
            continue
        if sign == "(":
            opened.append(len(out))
        elif sign == ")" and opened:
            start = opened.pop()
            if found := WEIGHT.fullmatch("".join(out[start:-1])):
                out[start:] = [found[1], ")", f"{float(found[2]):g} "]
    return "".join(out)


class Weighted:
    """Makes embeddings of prompts for a pipeline whose class `check` has passed."""

    def __init__(self, pipe: Any, model: Model, device: str) -> None:
        import compel

        words = compel.DiffusersTextualInversionManager(pipe) if model.textual_inversions else None
        kind = getattr(compel, str(_class_name(type(pipe))))
        self.make = kind(pipe, textual_inversion_manager=words, device=device)
        # Where a pipeline has no negative prompt, it may take zeros for it.
        self.zeros = bool(pipe.config.get("force_zeros_for_empty_prompt"))

    def embeds(self, prompt: str, drawn: Model) -> dict[str, torch.Tensor]:
        """What the pipeline's call takes in place of the texts of one picture: tensors that begin
        with 1, and then have as many tokens as the longest of the texts needs.
        """
        import torch

        negative = drawn.negative_prompt
        second = [drawn.call_kwargs.get(name) for name in TEXTS[1:]]
        others = {"negative_prompt": translated(negative or "")} if drawn.guidance > 1 else {}
        if second[0]:
            others["style_prompt"] = translated(second[0])
        if second[1] and others.get("negative_prompt") is not None:
            others["negative_style_prompt"] = translated(second[1])
        with torch.no_grad():
            made = self.make(translated(prompt), **others)
        found = {
            "prompt_embeds": made.embeds,
            "pooled_prompt_embeds": made.pooled_embeds,
            "negative_prompt_embeds": made.negative_embeds,
            "negative_pooled_prompt_embeds": made.negative_pooled_embeds,
        }
        kept = {name: one for name, one in found.items() if one is not None}
        if negative is None and self.zeros and not second[1]:
            zeroed = {name for name in kept if name.startswith("negative")}
            kept |= {name: torch.zeros_like(kept[name]) for name in zeroed}
        return kept


def together(embeds: Sequence[dict[str, torch.Tensor]]) -> list[list[int]]:
    """The places of those that have equally many tokens: padding would change a picture by what
    its neighbours say.
    """
    groups: dict[int, list[int]] = {}
    for place, one in enumerate(embeds):
        groups.setdefault(one["prompt_embeds"].shape[1], []).append(place)
    return list(groups.values())


def joined(embeds: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Those of several pictures as one batch."""
    import torch

    return {name: torch.cat([one[name] for one in embeds]) for name in embeds[0]}


def _class_name(kind: Any) -> str | None:
    return next((name for begin, name in KINDS.items() if begin.match(kind.__name__)), None)
