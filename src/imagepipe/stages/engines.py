"""The table of engines: everything that the rest of imagepipe must know of an engine.

A new engine is a file in `llm/`, `diffusion/` or `scoring/`, and a line here. No other code asks
for an engine's name. The table names classes and imports none of them, so the configuration can
read it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

from imagepipe.errors import UserError, one_line
from imagepipe.stages.engine import TARGET, Engine, Section

NONE = "none"  # the engine of a stage that does nothing
AUTO = "auto"  # stands for one that is chosen when the configuration is loaded
TORCH = ("torch", "transformers:PreTrainedModel")
LOADED: dict[str, Any] = {"weights": True, "libraries": TORCH}
SERVED: dict[str, Any] = {"waits": True, "unmeasured": "a server answers it"}


CUSTOM = Engine(TARGET)
OWN = "own"  # of a custom stage
TABLE: dict[str, dict[str, Engine]] = {
    "llm": {
        "vllm": Engine(
            "imagepipe.llm.vllm",
            **LOADED,
            check="imagepipe.llm.vllm.check",
            package="vllm",
            overlaps=True,
            unmeasured="vLLM makes its batches itself",
            processor=True,
        ),
        "transformers": Engine(
            "imagepipe.llm.transformers.TransformersEnhancer",
            **LOADED,
            check="imagepipe.llm.kinds.check_of_transformers",
        ),
        "openai": Engine(
            "imagepipe.llm.openai.OpenAIEnhancer",
            check="imagepipe.llm.openai.check",
            **SERVED,
        ),
        "template": Engine("imagepipe.llm.template.TemplateEnhancer", actors=False),
        "custom": CUSTOM,
        NONE: Engine("", actors=False),
    },
    "model": {
        "diffusers": Engine(
            "imagepipe.diffusion.diffusers.DiffusersGenerator",
            weights=True,
            libraries=(*TORCH, "transformers:CLIPTextModel", "diffusers:DiffusionPipeline"),
            check="imagepipe.diffusion.checks.check",
            prompt_limit="imagepipe.diffusion.limits.of_repository",
            row_limits="imagepipe.diffusion.checks.row_limits",
            memory="imagepipe.diffusion.memory",
            literal_prompts=True,
            least_steps=1,
            spreads=True,
        ),
        "openai_images": Engine(
            "imagepipe.diffusion.openai.OpenAIGenerator",
            check="imagepipe.diffusion.openai.check",
            **SERVED,
            unsent="imagepipe.diffusion.image_request.unsent",
        ),
        "noop": Engine("imagepipe.diffusion.noop.NoopGenerator"),
        "custom": CUSTOM,
    },
    "scorer": {
        NONE: Engine("", actors=False),
        "clip": Engine(
            "imagepipe.scoring.clip.ClipScorer",
            **LOADED,
            embedded=True,
            check="imagepipe.scoring.clip.check",
        ),
        "aesthetic": Engine(
            "imagepipe.scoring.aesthetic.AestheticScorer",
            **LOADED,
            check="imagepipe.scoring.aesthetic.check",
            unprompted=True,
        ),
        "image_classifier": Engine(
            "imagepipe.scoring.classifier.ImageClassifier",
            **LOADED,
            check="imagepipe.scoring.classifier.check",
            unprompted=True,
            by_row=True,
        ),
        "attributes": Engine(
            "imagepipe.scoring.attributes.AttributeScorer",
            **LOADED,
            check="imagepipe.scoring.attributes.check",
            by_row=True,
            also=("all",),
        ),
        "vlm": Engine(
            "imagepipe.scoring.vlm.VlmScorer",
            **LOADED,
            check="imagepipe.scoring.vlm.check",
            by_row=True,
        ),
        "vllm_vlm": Engine(
            "imagepipe.scoring.vllm.VllmScorer",
            **LOADED,
            check="imagepipe.scoring.vllm.check",
            by_row=True,
        ),
        "caption": Engine(
            "imagepipe.scoring.vlm.VlmCaptioner",
            **LOADED,
            check="imagepipe.scoring.vlm.check",
            by_row=True,
            writes=True,
        ),
        "openai_vlm": Engine(
            "imagepipe.scoring.openai.OpenAIScorer",
            check="imagepipe.scoring.openai.check",
            **SERVED,
            by_row=True,
        ),
        "openai_caption": Engine(
            "imagepipe.scoring.openai.OpenAICaptioner",
            check="imagepipe.scoring.openai.check_captioner",
            **SERVED,
            by_row=True,
            writes=True,
        ),
        "custom": CUSTOM,
    },
    "distance": {
        NONE: Engine("", actors=False),
        "clip": Engine(
            "imagepipe.scoring.clip.ClipScorer",
            weights=True,
            check="imagepipe.scoring.clip.check",
        ),
        "inception": Engine(
            "imagepipe.scoring.inception.InceptionFeatures",
            check="imagepipe.scoring.inception.check",
        ),
        "custom": CUSTOM,
    },
    "stages": {OWN: CUSTOM},
}
# What `auto` means: the first that is installed, and made for the model.
AUTOMATIC = {"llm": ("vllm", "transformers"), "scorer": ("clip", NONE)}


def choices(kind: str) -> tuple[str, ...]:
    """The engines that the section `kind` may name: llm, model, scorer or distance."""
    return (*([AUTO] if kind in AUTOMATIC else []), *TABLE[kind])


def automatic(kind: str, *, embedded: bool) -> str:
    """The engine that `auto` means on this machine. `embedded`: the model is an embedded one."""
    lines = {name: TABLE[kind][name] for name in AUTOMATIC[kind]}
    return next(n for n, e in lines.items() if _is_installed(e) and (embedded or not e.embedded))


def of(kind: str, section: Section) -> Engine:
    """The line of the engine that `section` names. Raises UserError for other names."""
    if section.engine not in TABLE[kind]:
        raise UserError(
            field=f"{kind}.engine",
            value=section.engine,
            problem="no such engine",
            remedy=f"Use one of {', '.join(TABLE[kind])}.",
        )
    return TABLE[kind][section.engine]


def chosen(config: Any) -> dict[str, Engine]:
    """The lines of the engines that a whole configuration names: {stage: line}."""
    return {stage: of(one.section, one) for stage, one in config.sections.items()}


def check(kind: str, section: Section, protocol: type) -> Engine:
    """The engine's line. Raises UserError if it cannot work here."""
    engine = of(kind, section)
    if engine.is_custom:
        recipe(kind, section, protocol)()
    if engine.check:
        try:
            resolve_name(engine.check)(section)
        except PermissionError as error:
            raise UserError(
                field=f"{section.section}.path",
                value=getattr(section, "path", None),
                problem=f"{error.filename} may not be read ({error.strerror})",
                remedy="Allow it, as with chmod -R u+rX, or name another.",
            ) from error
    return engine


def recipe(kind: str, section: Section, protocol: type) -> Callable[[], Any]:
    """A factory for the engine that `section` names, which works in any process; nothing is
    loaded yet.

    It carries the engine's line, because a worker process reads the table as it was installed. When
    called, it raises UserError if the class is unavailable or lacks a method of `protocol`.
    """
    return partial(_make, of(kind, section), kind, section, protocol)


def _make(engine: Engine, kind: str, section: Section, protocol: type) -> Any:
    named = _own_class(kind, section) if engine.is_custom else resolve_name(engine.made_by)
    made = named(section)
    lacking = [name for name in _methods(protocol) if not callable(getattr(made, name, None))]
    if lacking:
        key = TARGET if engine.is_custom else "engine"
        raise UserError(
            field=f"{kind}.{key}",
            value=getattr(section, key),
            problem=f"lacks the method{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}",
            remedy=f"It has to be what {protocol.__module__}.{protocol.__name__} describes.",
        )
    return made


def _own_class(kind: str, section: Section) -> Any:
    if not section._target_:
        raise UserError(
            field=f"{kind}.{TARGET}",
            value=section._target_,
            problem=f"{kind}.engine=custom needs a class of your own",
            remedy="Name it as package.module.Class.",
        )
    try:
        found = resolve_name(section._target_)
        if not isinstance(found, type):
            raise TypeError("it is not a class")
        return found
    except Exception as error:  # whatever importing a custom module raises
        raise UserError(
            field=f"{kind}.{TARGET}",
            value=section._target_,
            problem=f"cannot be imported ({one_line(error)})",
            remedy="Name it as package.module.Class, and install the package here or start "
            "imagepipe in the folder that holds it.",
        ) from error


def _methods(protocol: type) -> list[str]:
    return [name for name, value in vars(protocol).items() if callable(value) and name[0] != "_"]


def _is_installed(engine: Engine) -> bool:
    return engine.package is None or find_spec(engine.package) is not None
