"""Turns the arguments of the Python API into Hydra overrides, and those into a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from imagepipe import shell
from imagepipe.cli.checks import check_composed, refuse_typed_secrets
from imagepipe.cli.composing import composing
from imagepipe.cli.messages import COMPOSING, explain
from imagepipe.errors import UserError

# What Hydra reads as a text without quotes; true, null and nan are none.
WORD = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_][\w./-]*", re.IGNORECASE)


def overrides(typed: Sequence[str], keys: Mapping[str, Any]) -> list[str]:
    """`typed` as at the command line, and `keys` by Python's names and values behind it."""
    return [*typed, *(f"{key}={_value(value)}" for key, value in keys.items())]


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_value(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return text if WORD.fullmatch(text) else shell.quoted(text)


@contextmanager
def checked(arguments: Sequence[str], config_dir: str | Path | None) -> Iterator[DictConfig]:
    """As `composing`, checked as the command checks it. Raises UserError alone."""
    _refuse_options(arguments)
    with ExitStack() as stack:
        with _plain(arguments):
            refuse_typed_secrets(arguments)
            own = str(config_dir) if config_dir else None
            cfg = stack.enter_context(composing(arguments, own))
            check_composed(cfg)
        yield cfg


def _refuse_options(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if argument.startswith("-"):
            raise UserError(
                field="imagepipe.run",
                value=argument,
                problem="is an option of the command, not a setting",
                remedy=f"Type it: imagepipe {argument} ... Presets of your own are config_dir=",
            )


@contextmanager
def _plain(arguments: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except COMPOSING as error:
        raise UserError(
            field="imagepipe.run",
            value=" ".join(arguments),
            problem=explain(error).rstrip("."),
            remedy="All keys: imagepipe --help",
        ) from error
