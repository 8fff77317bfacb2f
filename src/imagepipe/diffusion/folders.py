"""One part of a pipeline, from a folder or the hub: its configuration and its weights.

Weights from the hub are compared with the configuration after they are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import fit, repository
from imagepipe.diffusion.origin import Source
from imagepipe.diffusion.refusals import found, only_pickles, refused, unusable
from imagepipe.stages import kinds, loading, weights


def configured(source: Source, own: Any = None) -> tuple[Any, dict[str, Any]]:
    """Its class and its configuration.

    If it replaces `own`, a class of transformers, it has that class; otherwise the configuration
    names a class of diffusers. Raises UserError if there is none.
    """
    import diffusers

    where = found(source.field, source.path)
    try:
        if _of_transformers(own):
            _check_described(source)
            options = {"subfolder": source.subfolder or "", "revision": source.revision}
            return own, dict(own.config_class.get_config_dict(where, **options)[0])
        options = {"subfolder": source.subfolder, "revision": source.revision}
        config = dict(diffusers.AutoModel.load_config(where, **options))
    except OSError as error:
        raise unusable(source.field, source.path, source.revision, error) from error
    kind = getattr(diffusers, str(config.get("_class_name")), None)
    if kind is None:
        said = f"is a {config.get('_class_name')}, which diffusers has no class for"
        raise refused(source.field, source.path, said, "Name another.")
    return kind, config


def _check_described(source: Source) -> None:
    """Raise UserError for a folder without a configuration: transformers would use its default."""
    if source.folder is not None and not (source.folder / "config.json").is_file():
        told = f"{source.folder} holds no config.json"
        raise refused(source.field, source.path, told, "Name the folder of a model.")


def check(model: Model, source: Source, kind: Any, config: Mapping[str, Any]) -> None:
    """Raise UserError if the files in a folder do not hold what `kind` needs."""
    folder = source.folder
    if folder is None:
        return
    field = f"model.{source.field}"
    files = repository.weight_files(folder, model)
    if not files:
        pickles = [file.name for file in folder.iterdir() if file.suffix in kinds.PICKLED]
        if pickles:
            raise only_pickles(model, f"{folder / pickles[0]}")
        told = f"{folder} holds no weights"
        raise refused(source.field, source.path, told, "Fetch or save the model again.")
    if _of_transformers(kind):
        variant = repository.variant_of(folder, model)
        with weights.readable(field, source.path, folder):
            loading.load(field, source.path, kind, where=folder, device_map="meta", variant=variant)
        return
    fit.check_part(field, source.path, folder, kind, config, files)


def load(model: Model, source: Source, kind: Any, dtype: Any) -> Any:
    """The part, in the model's variant if it has that.

    Raises UserError if it cannot be used or does not fit its configuration.
    """
    variants = dict.fromkeys((model.variant, None))
    if source.folder is not None:
        variants = {repository.variant_of(source.folder, model): None}
    for variant in variants:
        try:
            return _loaded(model, source, kind, dtype, variant)
        except OSError as error:
            failed = error
    raise unusable(source.field, source.path, source.revision, failed) from failed


def _loaded(model: Model, source: Source, kind: Any, dtype: Any, variant: str | None) -> Any:
    where, field = found(source.field, source.path), f"model.{source.field}"
    options: dict[str, Any] = {"revision": source.revision, "dtype": dtype, "variant": variant}
    if source.subfolder:
        options["subfolder"] = source.subfolder
    options["use_safetensors"] = repository.safetensors_only(model)
    if _of_transformers(kind):
        return loading.load(field, source.path, kind, **options)
    part, report = kind.from_pretrained(
        where, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    loading.refuse_unfit(field, source.path, where, part, report)
    return part


def _of_transformers(kind: Any) -> bool:
    return hasattr(kind, "config_class")
