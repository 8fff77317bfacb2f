"""Chooses the diffusers pipeline class of a model's family that accepts the given input
pictures.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion.refusals import refused
from imagepipe.diffusion.rows import STRENGTH, Strength
from imagepipe.errors import listed

# A class with such a name changes a picture, whatever its call could do without.
CHANGER = re.compile("Adapter|Edit|Layered|Pix2Pix|Refiner|SuperResolution|Upscale")
# What takes several references for one picture.
REFERENCES = re.compile("Flux2|EditPlus")
CONTROLNET = "-controlnet"  # what diffusers adds to the name of a family


def of_pictures(own: Any, model: Model) -> Any:
    """The class that draws what is asked of a model whose own class is `own`, as diffusers'
    AutoPipelineForImage2Image and its kin choose it: by the mask, the picture and the ControlNet.

    A model of a narrower kind stays one, such as one that was trained to fill masks. Raises
    UserError where its family has no such class.
    """
    if not (model.pictures or model.controlnet):
        return own
    from diffusers.pipelines import auto_pipeline  # loads each of its classes: a second

    tasks = (
        auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
        auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
        auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
    )
    known = ((n, family) for n, task in enumerate(tasks) for family, k in task.items() if k is own)
    least, family = next(known, (0, None))
    if family is None:
        return own
    wanted = 2 if "mask_image" in model.pictures else 1 if "image" in model.pictures else 0
    base = family.removesuffix(CONTROLNET)
    name = f"{base}{CONTROLNET}" if model.controlnet else family
    found = tasks[max(least, wanted)].get(name)
    if found is None and model.controlnet:
        raise refused(
            "controlnet",
            model.controlnet,
            f"{own.__name__} has no class of diffusers beside it that takes a ControlNet"
            f"{' and ' + listed(list(model.pictures)) if model.pictures else ''}",
            "Set it to null, or name a model of another family.",
        )
    return found or own  # which `check` then finds wanting


def names(kind: Any, pictures: Collection[str]) -> dict[str, str]:
    """{key of `model.columns`: the argument of the class's call that takes its picture}."""
    takes = inspect.signature(kind.__call__).parameters
    found = {key: key for key in pictures}
    if "control_image" in found and "control_image" not in takes and _has_controlnet(kind):
        found["control_image"] = "image"
    for key in pictures:
        if key.startswith("image_") and REFERENCES.search(kind.__name__):
            found[key] = "image"
    return found


def check(kind: Any, model: Model) -> None:
    """Raise UserError if the class needs other pictures than the columns give."""
    takes = inspect.signature(kind.__call__).parameters
    given = names(kind, model.pictures)
    for key, argument in given.items():
        if argument not in takes or (argument == "image" and key == "image" and _control(kind)):
            raise refused(
                f"columns.{key}",
                model.pictures[key],
                f"{kind.__name__} takes no such picture",
                "Set model.controlnet too." if key == "control_image" else "Leave it out.",
            )
    lacking = [key for key in _needed(kind, takes) if key not in given]
    if lacking:
        raise refused(
            "path",
            model.path,
            f"{kind.__name__} changes a picture that it is given, and is given no {lacking[0]}",
            f"Name the column of its pictures: 'model.columns={{{lacking[0]}: COLUMN}}'.",
        )


def mixes(kind: Any, pictures: Collection[str]) -> bool:
    """Whether each row of a batch can have pictures of its own: where they are taken as one
    reference or several for all that is drawn, they cannot.
    """
    takes = inspect.signature(kind.__call__).parameters
    if "ip_adapter_image" in pictures:
        return False
    return any(name in takes for name in (STRENGTH, "mask_image")) or _has_controlnet(kind)


def strength(kind: Any) -> Strength:
    """How the class counts the steps that change a picture, which its own method tells."""
    said = inspect.signature(kind.__call__).parameters.get(STRENGTH)
    if said is None:
        return Strength()
    scheduler = SimpleNamespace(
        timesteps=(2, 1), order=1, config=SimpleNamespace(), set_begin_index=lambda _: None
    )
    try:
        drawn, _ = kind.get_timesteps(SimpleNamespace(scheduler=scheduler), 2, 0.25, "cpu")
    except (AttributeError, TypeError):  # of a class that counts in another way
        drawn = ()
    return Strength(said.default, draws_begun=len(drawn) > 0)


def _needed(kind: Any, takes: Mapping[str, Any]) -> list[str]:
    if _control(kind):
        return ["control_image"]
    needed = [key for key in ("mask_image", "control_image") if key in takes]
    if "image" in takes and (STRENGTH in takes or needed[:1] == ["mask_image"]):
        needed.insert(0, "image")
    return ["image"] if not needed and CHANGER.search(kind.__name__) else needed


def _has_controlnet(kind: Any) -> bool:
    return "controlnet" in inspect.signature(kind.__init__).parameters


def _control(kind: Any) -> bool:
    """Whether the picture that it calls `image` is the one that controls."""
    takes = inspect.signature(kind.__call__).parameters
    return _has_controlnet(kind) and "control_image" not in takes
