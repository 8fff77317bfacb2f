"""Values in the JSON of a model that are read late: when a picture is drawn, or a text is filled
up.

Libraries take most of them as they come, and fail with each row.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from imagepipe.errors import shown
from imagepipe.stages import weights

MOST = 1 << 31  # what a number of layers, places or tokens stays below
# That no model has below 0.
COUNTS = re.compile(r"num_\w*(layers|heads)|(hidden|intermediate|vocab|patch|image)_size")
ALWAYS = ("layer_norm_eps", "rms_norm_eps")  # a number, wherever they are
VERSION = "_diffusers_version"  # which pipelines compare
SHOWN = 40  # characters of a value


def check(
    field: str, path: str | None, file: Path, config: Mapping[str, Any], kind: Any = None
) -> None:
    """Raise UserError for a value in `config`, which `file` holds, that cannot be used.

    `kind` is a class of diffusers that takes them as arguments: where its default is a number, the
    value is one too.
    """
    takes = inspect.signature(kind.__init__).parameters if kind else {}
    for name, value in config.items():
        if isinstance(value, dict):
            check(field, path, file, value)  # the configuration of a part
        wrong = _wrong(name, value) or (_unlike(takes[name], value) if name in takes else "")
        if wrong:
            cause = f"{name} is {shown(repr(value), SHOWN)}, and {wrong}"
            raise weights.broken(field, path, file, cause)


def check_tokenizer(field: str, path: str | None, where: Path | str, tokenizer: Any) -> None:
    """Raise UserError if `tokenizer`, read from `where`, cannot cut texts or fill them up."""
    longest = tokenizer.model_max_length
    if not _is_number(longest) or longest < 1 or longest % 1:
        cause = f"model_max_length is {shown(repr(longest), SHOWN)}, and no number of tokens"
        raise weights.broken(field, path, Path(where, "tokenizer_config.json"), cause)
    with weights.readable(field, path, where):
        unknown = tokenizer.unk_token
        if unknown is not None and unknown not in tokenizer.get_vocab():  # it would look for ever
            cause = f"unk_token is {shown(repr(unknown), SHOWN)}, which is none of its tokens"
            raise weights.broken(field, path, Path(where, "tokenizer_config.json"), cause)
        tokenizer(["a", "a b"])
        if tokenizer.pad_token is not None:
            tokenizer.pad({"input_ids": [[0], [0, 0]]})


def check_end(field: str, path: str | None, where: Path | str, value: object) -> None:
    """Raise UserError if `value` in the model at `where` is not the number of a token that ends a
    text.
    """
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= MOST:
        cause = f"eos_token_id is {shown(repr(value), SHOWN)}, and not the number of a token"
        raise weights.broken(field, path, Path(where), cause)


def _wrong(name: str, value: Any) -> str:
    if name == VERSION and not (isinstance(value, str) and re.match(r"\d+(\.\d+)*", value)):
        return "no version"
    if COUNTS.fullmatch(name) and _is_number(value) and value < 0:
        return "less than 0"
    return "no number" if name in ALWAYS and not _is_number(value) else ""


def _unlike(argument: inspect.Parameter, value: Any) -> str:
    """What is wrong with `value` for an argument whose default is a number: many are of one type in
    their class and of another in the files of models.
    """
    default, kinds = argument.default, str(argument.annotation).lower()
    if not _is_number(default):
        return ""
    if argument.annotation is argument.empty:
        return "no number" if isinstance(value, str | dict) else ""
    if not _is_number(value):
        return "" if _takes(kinds, value) else "no number"
    if value < 0 <= default:
        return "less than 0"
    is_whole = value % 1 == 0 and value < MOST
    return "" if is_whole or "float" in kinds or isinstance(default, float) else "no whole number"


def _takes(kinds: str, value: object) -> bool:
    """Whether an argument of `kinds`, as they are annotated, takes a value that is no number."""
    if value is None:
        return "none" in kinds or "optional" in kinds
    if isinstance(value, list):
        return bool(value) and re.search("tuple|list|sequence", kinds) is not None
    return isinstance(value, str) and "str" in kinds


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
