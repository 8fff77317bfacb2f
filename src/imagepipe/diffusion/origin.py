"""Where the parts of a pipeline come from, and which configuration describes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from imagepipe.config import Model
from imagepipe.diffusion.refusals import refused
from imagepipe.stages import kinds, loading, weights

GGUF = ".gguf"


@dataclass(frozen=True)
class Source:
    """Where the weights of one part are; `field` is its key below `model`."""

    field: str
    path: str
    revision: str | None = None
    subfolder: str | None = None

    @property
    def file(self) -> Path | None:
        """Null if it is a folder or a model of the hub."""
        return Path(weights.locate(self.path)) if weights.is_file(self.path) else None

    @property
    def folder(self) -> Path | None:
        where = weights.locate(self.path)
        if isinstance(where, str) or where.is_file():
            return None
        return where / (self.subfolder or "")

    @property
    def is_gguf(self) -> bool:
        """Whether its weights are quantised already."""
        return self.path.endswith(GGUF)


def is_single(model: Model) -> bool:
    """Whether `model.path` is a checkpoint in one file."""
    return weights.is_file(model.path)


def own(model: Model) -> dict[str, Source]:
    """The parts that the configuration names, each by its key."""
    vae = {} if model.vae is None else {"vae": Source("vae", model.vae, model.vae_revision)}
    named = {
        name: Source(f"parts.{name}.path", one.path, one.revision, one.subfolder)
        for name, one in model.parts.items()
    }
    return {**named, **vae}


def controlnet(model: Model) -> Source | None:
    """Where the ControlNet beside the model comes from."""
    if model.controlnet is None:
        return None
    return Source("controlnet", model.controlnet, model.controlnet_revision)


def described_by(model: Model) -> tuple[str, str]:
    """The key that names the folder or hub model with the configuration, and its value.

    Raises UserError if a single file is no checkpoint, or does not show its architecture.
    """
    if not is_single(model):
        return "model.path", model.path or ""
    file = Path(weights.locate(model.path or ""))
    if file.suffix != kinds.SAFE or kinds.is_pointer(file) or kinds.is_lora(file):
        raise refused("path", model.path, *(kinds.told(file) or kinds.UNKNOWN))
    return "model.config", model.config or _guessed(model, file)


def _guessed(model: Model, file: Path) -> str:
    """The architecture that diffusers guesses from the names and shapes in a checkpoint."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    shapes = loading.shapes("model.path", model.path, file)
    if kinds.checkpoint(shapes) is None:
        told = "is one file, and its weights do not show which model it is"
        raise refused("path", model.path, told, "Name its configuration: model.config=FOLDER.")
    held = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
    return str(fetch_diffusers_config(held)["pretrained_model_name_or_path"])
