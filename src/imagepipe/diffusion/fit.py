"""Whether the files of a diffusers model hold all weights of its parts, read from their headers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import model_index, random_weights, repository
from imagepipe.errors import one_line
from imagepipe.stages import kinds, loading, numbers, weights

# What diffusers calls the four matrices of an attention today, by the names in older files.
RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# Whose embedding is read where a text ends: with `config.json`'s token, or with the class's own.
PICKS_END = ("CLIPTextModel", "CLIPTextModelWithProjection")
OLD_NAME = re.compile(rf"\.({'|'.join(RENAMED)})\.(weight|bias)$")


def check(model: Model, described: repository.Description, apart: Collection[str] = ()) -> None:
    """Raise UserError if a part lacks weights, or has some of another shape; the parts `apart`
    come from elsewhere.

    transformers would use random values for them, and diffusers' parts would fail on the way to
    their device. Embedded models are complete: a test ensures that.
    """
    folder = described.folder
    if folder is None or (model.path or "").startswith("asset:"):
        return
    repository.quiet()
    _check_index(model, folder, described.index, apart)
    for name, (library, class_name) in described.parts.items():
        kind = random_weights.part_class(library, class_name)
        config = described.configs.get(name, {})
        if name in apart:
            continue
        if not hasattr(kind, "named_parameters"):
            _check_small(model, name, folder / name, kind)
            continue
        files = repository.weight_files(folder / name, model)
        for file in filter(kinds.is_pointer, files):
            raise weights.broken("model.path", model.path, file, "a pointer of Git LFS")
        if hasattr(kind, "config_class"):
            said_in = folder / name / "config.json"
            numbers.check("model.path", model.path, said_in, config)
            if class_name in PICKS_END:
                numbers.check_end("model.path", model.path, said_in, config.get("eos_token_id", 0))
            if "quantization_config" not in config:  # their loader wants the device
                _check_transformers(model, folder / name, kind)
        else:
            check_part("model.path", model.path, folder / name, kind, config, files)


def _check_index(
    model: Model, folder: Path, index: Mapping[str, Any], apart: Collection[str]
) -> None:
    """Raise UserError if the class of the pipeline takes a part that `model_index.json` lacks, or
    has an option of.
    """
    import diffusers

    kind = getattr(diffusers, str(index["_class_name"]), None)
    takes = inspect.signature(kind).parameters.values() if kind else ()
    needed = [one.name for one in takes if one.default is one.empty and one.kind != one.VAR_KEYWORD]
    known = {*index, *apart, *model_index.OPTIONAL}
    lacking = [name for name in needed if name not in known]
    if lacking:
        file = folder / model_index.FILE
        raise weights.broken("model.path", model.path, file, f"it names no {lacking[0]}")
    for name in needed:
        if name in index and name not in apart and not model_index.is_entry(index[name]):
            raise model_index.unnamed(folder, name)


def check_tokens(model: Model, components: Mapping[str, Any]) -> None:
    """As `loading.refuse_tokens`, of each text encoder and its tokenizer."""
    for name, encoder in components.items():
        tokenizer = components.get(name.replace("text_encoder", "tokenizer"))
        if name.startswith("text_encoder") and encoder is not None and tokenizer is not None:
            loading.refuse_tokens("model.path", model.path, tokenizer, encoder)


def _check_small(model: Model, name: str, folder: Path, kind: Any) -> None:
    """Read a tokenizer or a scheduler as the pipeline will."""
    if not name.startswith(("tokenizer", "scheduler")):
        return
    from transformers import PreTrainedTokenizerBase

    if hasattr(kind, "config_name"):  # of diffusers
        file = folder / kind.config_name
        held = weights.described("model.path", model.path, file)
        numbers.check("model.path", model.path, file, held, kind)
    with _readable(model, folder):
        made = kind.from_pretrained(folder)
    if isinstance(made, PreTrainedTokenizerBase):
        numbers.check_tokenizer("model.path", model.path, folder, made)


def _check_transformers(model: Model, folder: Path, kind: Any) -> None:
    with _readable(model, folder):
        loading.load(
            "model.path",
            model.path or "",
            kind,
            where=folder,
            device_map="meta",
            variant=repository.variant_of(folder, model),
            use_safetensors=repository.safetensors_only(model),
        )


@contextmanager
def _readable(model: Model, folder: Path) -> Iterator[None]:
    """All files are here: an OSError is of what they hold."""
    try:
        with weights.readable("model.path", model.path, folder):
            yield
    except OSError as error:
        raise weights.broken("model.path", model.path, folder, one_line(error)) from error


def check_part(
    field: str,
    path: str | None,
    where: Path,
    kind: Any,
    config: Mapping[str, Any],
    files: list[Path],
) -> None:
    """Compare a diffusers model of class `kind` and `config` with its `files` in `where`."""
    import torch

    numbers.check(field, path, where / "config.json", config, kind)
    with weights.readable(field, path, where / "config.json"):
        part = random_weights.filled(kind, dict(config), "meta", torch.float32)
    held: dict[str, tuple[int, ...]] = {}
    for file in files:
        held |= loading.shapes(field, path, file)
    if "quantization_config" in config:
        held = _quantised(_shapes(part), held)
    compare(field, path, f"{where}", part, held)


def compare(
    field: str, path: str | None, where: str, part: Any, held: Mapping[str, tuple[int, ...]]
) -> None:
    """Compare a model without values with the names and shapes of weights in `where`."""
    needs = _shapes(part)
    held = {_today(name): shape for name, shape in held.items()} if needs.keys() - held else held
    both = needs.keys() & held
    report = {
        "missing_keys": needs.keys() - held,
        "unexpected_keys": held.keys() - needs,
        "mismatched_keys": [(n, held[n], needs[n]) for n in both if held[n] != needs[n]],
    }
    loading.refuse_unfit(field, path, where, part, report)


def _shapes(part: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in part.state_dict().items()}


def _quantised(
    needs: Mapping[str, tuple[int, ...]], held: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """What `held` holds of the weights in `needs`, and others that it has.

    Each kind of quantisation has shapes of its own, and names that begin as the layer's does.
    """
    parts = [re.split(r"[.:]", name) for name in held]
    begins = {".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)}
    found = {name: shape for name, shape in needs.items() if name.rpartition(".")[0] in begins}
    whole = (re.match(r"(.*\.(?:weight|bias))(?:[.:]|$)", name) for name in held)
    return {name[1]: () for name in whole if name and name[1] not in needs} | found


def _today(name: str) -> str:
    return OLD_NAME.sub(lambda found: f".{RENAMED[found[1]]}.{found[2]}", name)
