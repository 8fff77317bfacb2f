"""Whether files hold all weights that a class of transformers needs, and loading them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from imagepipe.errors import UserError, one_line, with_class
from imagepipe.stages import kinds, numbers, weights

# A BatchNorm counts its steps, and a CLIP scales what it compares: no answer depends on these.
NOT_NEEDED = ("num_batches_tracked", "logit_scale")
NUMBER = re.compile(r"\.\d+(?=\.)")  # of a layer, in the name of a weight


def check_fit(field: str, path: str | None, revision: str | None, kind: Callable[[], Any]) -> None:
    """Compare the weights that `kind()`, a class of transformers, needs with those in a model's
    files.

    It reads only headers. `load` compares, too. So this skips embedded models, models that are not
    complete in the hub's cache, and quantised weights, whose loader needs the device that will use
    them. Raises UserError as `load` does.
    """
    path = weights.check_path(field, path)
    where = None if path.startswith("asset:") else weights.here(path, revision)
    if where is None:
        return
    config = weights.described(field, path, where / "config.json")
    numbers.check(field, path, where / "config.json", config)
    if "quantization_config" in config:
        return
    quiet()  # before transformers loads the class, and torchao with it
    try:
        with weights.readable(field, path, where):
            load(field, path, kind(), revision=revision, device_map="meta", local_files_only=True)
    except OSError as error:
        if isinstance(weights.locate(path), Path):
            raise weights.broken(field, path, where, one_line(error)) from error


def load(
    field: str, path: str, kind: Any, *, where: Path | str | None = None, **arguments: Any
) -> Any:
    """`kind.from_pretrained(path, **arguments)` of a class of transformers, from safetensors.

    `where` is the folder of one part of the model at `path`; then that part is loaded. With
    `device_map="meta"` only headers are read. Raises UserError if weights are missing, have another
    shape or cannot be read: transformers would use random ones and only warn.
    """
    quiet()
    from safetensors import SafetensorError

    source = weights.locate(path) if where is None else where
    arguments = {"use_safetensors": True, **arguments}  # a pickle would run whatever code it holds
    try:
        model, report = kind.from_pretrained(
            str(source), output_loading_info=True, ignore_mismatched_sizes=True, **arguments
        )
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        # All but the first of a configuration or an index that is not what transformers reads.
        raise weights.broken(field, path, Path(source), with_class(error)) from error
    refuse_unfit(field, path, f"{source}", model, report)
    return model


def refuse_tokens(field: str, path: str | None, tokenizer: Any, model: Any) -> None:
    """Raise UserError if `model` has no weights for a token that `tokenizer` adds by itself.

    Every row would fail by it, and on a GPU the process.
    """
    known = getattr(model.config.get_text_config(), "vocab_size", None)
    for name in ("bos", "eos", "pad", "unk"):
        number = getattr(tokenizer, f"{name}_token_id", None)
        if known is not None and number is not None and number >= known:
            raise UserError(
                field=field,
                value=path,
                problem=f"its tokenizer gives {name}_token the number {number}, but its weights "
                f"are for {known} tokens",
                remedy="Fetch the model again, or save it with the tokenizer of its training.",
            )


def shapes(field: str, path: str | None, file: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights in a file; of a safetensors file its header is read.

    Raises UserError if it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if file.suffix == kinds.SAFE:
            with safe_open(file, "np") as held:
                names = held.keys()
                return {name: tuple(held.get_slice(name).get_shape()) for name in names}
        import torch

        held = torch.load(file, map_location="meta", weights_only=True)
        return {name: tuple(value.shape) for name, value in held.items()}
    except (
        *(SafetensorError, OSError, RuntimeError, ValueError),
        *(EOFError, UnpicklingError, AttributeError),  # of what is no pickle, or of something else
    ) as error:
        raise weights.broken(field, path, file, one_line(error)) from error


def quiet() -> None:
    """Silence transformers' progress bars and notes; `refuse_unfit` reads the loading report
    instead.
    """
    import logging

    for name in ("torchao", "torch.utils"):  # imported beside a model, where they are
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as of_transformers

    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()


def refuse_unfit(
    field: str, path: str | None, where: str, model: Any, report: Mapping[str, Iterable[Any]]
) -> None:
    """Raise UserError if `report` lists weights of `model` that its files lack, or layers in the
    files that the model does not have.

    `report` is the loading info of transformers or diffusers; `where` says which files were read.
    """
    missing = sorted(key for key in report["missing_keys"] if not key.endswith(NOT_NEEDED))
    mismatched = sorted(report["mismatched_keys"])
    more = _of_more_layers(model, report["unexpected_keys"])
    if missing:
        needs = f"the {len(model.state_dict())} weights of {type(model).__name__}"
        problem = f"lacks {len(missing)} of {needs}, such as {missing[0]}"
        others = _renamed(missing, sorted(report["unexpected_keys"]))
        problem += f", and holds others, such as {others}" if others else ""
    elif mismatched:
        name, held, needed = mismatched[0]
        problem = f"holds {name} as {_shape(held)}, where its config.json asks {_shape(needed)}"
    elif more:
        problem = f"holds {len(more)} weights, such as {more[0]}, of layers that its config.json "
        problem += "does not count: they would be left out"
    else:
        return
    raise UserError(
        field=field,
        value=path,
        problem=f"{where} {problem}",
        remedy="Fetch or save the model again, or name another.",
    )


def _of_more_layers(model: Any, unexpected: Iterable[str]) -> list[str]:
    """The unexpected names that differ from the model's own only by a number, and those in a list
    of layers that the model has none in.

    Other unexpected names do no harm, such as the other half of a CLIP.
    """
    unexpected = sorted(unexpected)
    if not unexpected:  # so it mostly is, and a model has many names
        return []
    from torch.nn import ModuleList

    own = {NUMBER.sub(".#", name) for name in model.state_dict()}
    layers = ((name, one) for name, one in model.named_modules() if isinstance(one, ModuleList))
    none = tuple(f"{name}." for name, one in layers if not len(one))
    return [name for name in unexpected if NUMBER.sub(".#", name) in own or name.startswith(none)]


def _renamed(missing: list[str], others: list[str]) -> str | None:
    """One of `others`, preferably one that ends like a `missing` one."""
    ends = (other for other in others if any(other.endswith(key) for key in missing))
    return next(ends, others[0] if others else None)


def _shape(size: Iterable[int]) -> str:
    return "x".join(map(str, size)) or "one number"
