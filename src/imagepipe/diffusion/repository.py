"""The files of a diffusers model: in a folder, in the hub's cache, or fetched from the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagepipe.assets import folder as asset
from imagepipe.config import Model
from imagepipe.diffusion import model_index, origin
from imagepipe.diffusion.refusals import brings_code, no_variant, only_pickles
from imagepipe.errors import UserError
from imagepipe.stages import hub, kinds, loading, weights

SMALL = ["*.json", "*.txt", "*.model", "*.jinja"]  # configurations and tokenizers
ARCHITECTURES = Path(asset("asset:architectures"))


@dataclass(frozen=True)
class Description:
    """The description of a pipeline: `model_index`, and the config of each part that has one."""

    configs: dict[str, Any]
    folder: Path | None  # where its tokenizers are; null for one that the package holds

    @property
    def index(self) -> dict[str, Any]:
        """The content of `model_index.json`."""
        return self.configs["model_index"]

    @property
    def is_known(self) -> bool:
        """Whether its pipeline is one of diffusers, and does not come with the model as code."""
        return isinstance(self.index["_class_name"], str)

    @property
    def parts(self) -> dict[str, tuple[str, str]]:
        """Library and class of each part."""
        return model_index.parts(self.index)


def quiet() -> None:
    """Silence the libraries' progress bars and notes; what matters is raised or counted."""
    import logging

    loading.quiet()  # first, since diffusers imports torchao
    import diffusers

    diffusers.utils.logging.set_verbosity(logging.CRITICAL)  # its errors are raised, too
    diffusers.utils.logging.disable_progress_bar()


def describe(model: Model) -> Description:
    """The model's configurations, without its weights.

    With random weights those of well-known models come from the package, so that nothing is
    fetched. Raises UserError if there are none.
    """
    name = origin.described_by(model)[1]
    file = ARCHITECTURES / f"{name.replace('/', '--')}.json"
    if model.weights == "random" and file.is_file():
        return Description(json.loads(file.read_text("utf-8")), None)

    def get(name: str, **options: Any) -> str:
        from huggingface_hub import snapshot_download

        return snapshot_download(name, revision=model.revision, allow_patterns=SMALL, **options)

    return read(_find(model, get, lambda found: (found / model_index.FILE).is_file()))


def read(folder: Path) -> Description:
    """The description of the model in a folder."""
    configs = {"model_index": model_index.read(folder)}
    for name in model_index.parts(configs["model_index"]):
        for file in ("config.json", "scheduler_config.json"):
            if (folder / name / file).is_file():
                configs[name] = weights.described("model.path", folder, folder / name / file)
    return Description(configs, folder)


def fetch(model: Model) -> Path:
    """The folder with all that the pipeline loads, fetched from the hub where it is not cached.

    It needs no weights of parts that the configuration names apart; beside a checkpoint in one file
    it holds configurations and tokenizers alone.

    Raises UserError if weights are missing or not given by the hub, where they are pickled and
    where the model brings code of its own, unless the configuration allows the two.
    """

    apart = origin.own(model)
    if origin.is_single(model):
        described = describe(model).folder
        assert described is not None  # only random weights are described by the package
        _refuse_code(model, described)
        return described

    def get(name: str, **options: Any) -> str:
        from diffusers import DiffusionPipeline

        quiet()
        if apart:  # of which it would not fetch the configurations
            describe(model)
        return DiffusionPipeline.download(
            name,
            revision=model.revision,
            variant=model.variant,
            use_safetensors=safetensors_only(model),
            trust_remote_code=model.trust_remote_code,
            **dict.fromkeys(apart),
            **options,
        )

    def whole(found: Path) -> bool:
        return _has_variant(found, model) and not _without_weights(found, model)

    found = _find(model, get, whole)
    _refuse_code(model, found)
    if not _has_variant(found, model):
        raise no_variant(model, str(found))
    refuse_missing(model, _without_weights(found, model), found)
    return found


def safetensors_only(model: Model) -> bool | None:
    """diffusers' `use_safetensors`: null accepts pickled weights if there are no others."""
    return True if model.use_safetensors else None


def _find(model: Model, get: Callable[..., str], whole: Callable[[Path], bool]) -> Path:
    """The cache first, so that a cached model needs no network; then the hub."""
    field, path = origin.described_by(model)
    where = weights.locate(path)
    if isinstance(where, Path):
        weights.check(field, path, model.revision, model_index.FILE)
        return where
    try:
        cached = Path(get(where, local_files_only=True))
        if whole(cached):
            return cached
    except (OSError, ValueError):
        pass  # the hub's answer says more
    try:
        found = Path(get(where))
        if whole(found):
            return found
        raise FileNotFoundError(f"{where} is not whole")
    except (OSError, ValueError) as error:
        raise _explained(model, where, error) from error


def _explained(model: Model, name: str, error: Exception) -> UserError:
    said = str(error)
    if "trust_remote_code" in said:
        return brings_code(model)
    if "necessary `safetensors`" in said:
        return only_pickles(model, name)
    if "no such modeling files" in said:
        return no_variant(model, name)
    files = f'--include {model_index.FILE} "*/*"'
    if model.variant:
        small = " ".join(f'"{pattern}"' for pattern in SMALL)
        files = f'--include {small} "*.{model.variant}*.safetensors"'
    return hub.refused(origin.described_by(model)[0], name, model.revision, error, files)


def _without_weights(found: Path, model: Model) -> dict[str, list[str]]:
    """The models among the parts whose weights are not all there, with those that they have."""
    missing = {}
    apart = origin.own(model)
    for name in (one for one in model_index.parts(model_index.read(found)) if one not in apart):
        part = found / name
        is_model = (part / "config.json").is_file() or not any(part.glob("*"))
        if is_model and not weight_files(part, model):
            missing[name] = _weights_in(part)
    return missing


def weight_files(part: Path, model: Model) -> list[Path]:
    """The weight files in a part's folder that diffusers loads; none if they are incomplete."""
    allowed = (kinds.SAFE,) if model.use_safetensors else (kinds.SAFE, *kinds.PICKLED)
    usable = [name for name in chosen(_weights_in(part), model.variant) if name.endswith(allowed)]
    safe = [name for name in usable if name.endswith(kinds.SAFE)]
    indices = sorted(part.glob("*.index*.json"))
    shards = [weights.shards("model.path", model.path, index) for index in indices]
    lists = [names for names in shards if not names.isdisjoint(usable)]
    whole = [names for names in lists if names.issubset(usable)]
    if lists:
        most = max(whole, key=lambda names: names.issubset(safe), default=())
        return sorted(part / name for name in most)
    return [part / name for name in safe or usable]


def _weights_in(part: Path) -> list[str]:
    """The names of weight files; folders and dead links do not count."""
    files = (file for file in part.glob("*") if file.is_file())
    return sorted(f.name for f in files if f.suffix in (kinds.SAFE, *kinds.PICKLED))


def variant_of(part: Path, model: Model) -> str | None:
    """The variant to load a part in: null if the part does not have the one asked for."""
    has = any(_is_of(name, model.variant) for name in _weights_in(part))
    return model.variant if has else None


def chosen(files: list[str], variant: str | None) -> list[str]:
    """The weight files that diffusers loads: those of the variant, or else the plain ones."""
    of_variant = [file for file in files if _is_of(file, variant)]
    return of_variant or [file for file in files if file.count(".") == 1]


def _is_of(file: str, variant: str | None) -> bool:
    """Whether its name says so: model.fp16.safetensors, model.fp16-00001-of-00002.safetensors."""
    found = re.search(rf"\.{re.escape(variant or '')}[.-]", file)
    return variant is not None and file.count(".") == 2 and found is not None


def _has_variant(found: Path, model: Model) -> bool:
    """Whether any part has the variant asked for; without one diffusers gives up."""
    files = [
        file.name
        for name in model_index.parts(model_index.read(found))
        for file in (found / name).glob("*")
    ]
    return model.variant is None or any(_is_of(file, model.variant) for file in files)


def refuse_missing(model: Model, missing: dict[str, list[str]], found: Path) -> None:
    for name, files in missing.items():
        variants = [file for file in files if file.count(".") == 2]
        if variants and model.variant is None:
            raise UserError(
                field="model.variant",
                value=None,
                problem=f"the weights in {found} are of a variant ({name}/{variants[0]})",
                remedy=f"Try model.variant={variants[0].split('.')[1].partition('-')[0]}.",
            )
        pickles = [file for file in files if file.endswith(kinds.PICKLED)]
        if pickles and model.use_safetensors:
            raise only_pickles(model, f"{name}/{pickles[0]}")
        if not (found / name / "config.json").is_file():
            raise UserError(
                field="model.path",
                value=model.path,
                problem=f"its part {name!r} is missing in {found}",
                remedy="Use a complete model.",
            )
        raise UserError(
            field="model.path",
            value=model.path,
            problem=f"its part {name!r} has no weights in {found / name}",
            remedy="Name a whole model, or set model.weights=random to measure without weights.",
        )


def _refuse_code(model: Model, found: Path) -> None:
    if not model.trust_remote_code and any(_own_code(found)):
        raise brings_code(model)


def _own_code(found: Path) -> Iterator[Path]:
    """Python files that loading would run."""
    index = model_index.read(found)
    modules = [f"{name}/{library}.py" for name, (library, _) in model_index.parts(index).items()]
    if isinstance(index["_class_name"], list):
        modules.append(f"{index['_class_name'][0]}.py")
    yield from (found / module for module in modules if (found / module).is_file())
