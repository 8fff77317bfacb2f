"""Lists and downloads what a run loads from the hub, so that the run needs no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from imagepipe.config import Config, Model
from imagepipe.diffusion import adapters, controlnets, files, inversions, lora, origin, repository
from imagepipe.stages import engines, hub, weights


@dataclass(frozen=True)
class Wanted:
    """A hub repository that a run loads from; `field` is its key, `choose` selects the files."""

    field: str
    repository: str
    revision: str | None
    choose: Callable[[Sequence[str]], list[str]]
    # Fetches them where a library has its own way, which finds them without a network by what that
    # way has kept.
    own_way: Callable[[], Any] | None = None


@dataclass(frozen=True)
class File:
    """A file that a run loads. `size` in bytes, null if the hub does not say it."""

    field: str
    repository: str
    name: str
    size: int | None
    cached: bool


def wanted(config: Config) -> Iterator[Wanted]:
    """The repositories of the hub that a run of `config` loads from; none for folders."""
    model = config.model
    for field, path, revision, choose in _sources(config):
        where = weights.locate(path) if path else None
        if isinstance(where, str):
            is_pipeline = field in ("model.path", "model.config") and model.weights == "trained"
            own_way = partial(repository.fetch, model) if is_pipeline else None
            yield Wanted(field, where, revision, choose, own_way)


def _sources(config: Config) -> Iterator[tuple[str, str | None, str | None, Any]]:
    llm, model = config.llm, config.model
    if engines.of("llm", llm).weights:
        yield "llm.path", llm.path, llm.revision, files.model_files
    if engines.of("model", model).weights:
        yield from _of_model(model)
    for name, scorer in config.scorer.items():
        if engines.of("scorer", scorer).weights:
            yield f"scorer.{name}.path", scorer.path, scorer.revision, files.model_files
            yield f"scorer.{name}.processor", scorer.processor, None, files.small_files
    distance = config.distance
    if engines.of("distance", distance).weights:
        yield "distance.path", distance.path, distance.revision, files.model_files
        yield "distance.processor", distance.processor, None, files.small_files


def _of_model(model: Model) -> Iterator[tuple[str, str | None, str | None, Any]]:
    field, path = origin.described_by(model)
    yield field, path, model.revision, partial(_of_pipeline, model)
    for part in origin.own(model).values():
        choose = partial(files.part_files, model=model, folder=part.subfolder)
        yield f"model.{part.field}", part.path, part.revision, choose
    if not (model.weights == "random" and controlnets.described(model)):
        choose = partial(files.part_files, model=model, folder=None)
        yield "model.controlnet", model.controlnet, model.controlnet_revision, choose
    if looks := adapters.encoder(model):
        choose = partial(_of_adapter, model, looks.subfolder)
        yield f"model.{looks.field}", looks.path, looks.revision, choose
    for one in model.loras:
        name = one.weight_name or lora.FILE
        choose = partial(_present, ("adapter_config.json", name))
        yield "model.loras", one.path, one.revision, choose
    for word in model.textual_inversions:
        name = word.weight_name or inversions.FILE
        yield "model.textual_inversions", word.path, word.revision, partial(_present, (name,))


def _of_pipeline(model: Model, names: Sequence[str]) -> list[str]:
    """Fetches the small files, of which one says what the pipeline is made of."""
    described = repository.describe(model)
    if model.weights == "random" and described.folder is None:
        return []  # the package describes it
    if model.weights == "random" or origin.is_single(model):
        return [name for name in names if name.endswith(tuple(p[1:] for p in repository.SMALL))]
    return files.pipeline_files(names, described.index, model, apart=origin.own(model))


def _of_adapter(model: Model, encoder: str | None, names: Sequence[str]) -> list[str]:
    looks = files.part_files(names, model, encoder)
    return [*_present((adapters.file(model),), names), *looks]


def _present(asked: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name for name in asked if name in names]


def listed(one: Wanted) -> list[File]:
    """The files of a repository that a run loads. Raises UserError if the hub does not tell."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(one.repository, revision=one.revision)
        names = one.choose([file.rfilename for file in info.siblings or []])
        found: Any = snapshot_download(
            one.repository, revision=one.revision, allow_patterns=names, dry_run=True
        )
    except (OSError, ValueError) as error:
        raise hub.refused(one.field, one.repository, one.revision, error) from error
    return [
        File(one.field, one.repository, file.filename, file.file_size, file.is_cached)
        for file in (found if names else [])
    ]


def fetch(one: Wanted, names: Sequence[str]) -> None:
    """Download the files into the hub's cache; complete ones are not downloaded again.

    Raises UserError if the hub does not give them.
    """
    from huggingface_hub import snapshot_download

    if one.own_way:
        one.own_way()
        return
    try:
        snapshot_download(one.repository, revision=one.revision, allow_patterns=list(names))
    except (OSError, ValueError) as error:
        raise hub.refused(one.field, one.repository, one.revision, error) from error
