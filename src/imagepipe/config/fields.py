"""The limits of a key, declared beside its field, and the walk that checks them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import field, fields, is_dataclass
from functools import partial
from typing import Any

from omegaconf import MISSING

from imagepipe.config.names import share_key
from imagepipe.errors import UserError, did_you_mean
from imagepipe.stages import engines

DTYPES = ("auto", "float32", "float16", "bfloat16")
SHARES = "resources.scorers"  # where the shares of several scorers are, by stage
OWN_SHARES = "resources.own"  # and those of `stages`, in their order


def choice(default: Any, choices: Collection[str]) -> Any:
    """A field that holds one of `choices`; null passes where its type allows it."""
    return field(default=default, metadata={"check": partial(check_choice, choices)})


def engine(kind: str, default: str = MISSING) -> Any:
    """A field that holds an engine of the table, of `kind`: llm, model, scorer or distance."""
    return field(default=default, metadata={"check": partial(_check_engine, kind)})


def bounded(default: Any, *, least: float, most: float = math.inf) -> Any:
    """A field that holds a number from `least` to `most`; null passes where its type allows it."""
    return field(default=default, metadata={"check": partial(check_bounds, least, most)})


def check_fields(section: Any, prefix: str = "") -> None:
    """Raise UserError for the first value in `section`, a dataclass, beyond its field's limits."""
    for declared in fields(section):
        key, value = f"{prefix}{declared.name}", getattr(section, declared.name)
        if "check" in declared.metadata:
            declared.metadata["check"](key, value)
        elif is_dataclass(value):
            check_fields(value, f"{key}.")
        elif isinstance(value, dict):
            for number, (name, entry) in enumerate(value.items()):
                if is_dataclass(entry):
                    typed = {SHARES: share_key(name), OWN_SHARES: f"stages.{number}"}
                    check_fields(entry, f"{typed.get(key, f'{key}.{name}')}.")
        elif isinstance(value, list):
            for number, entry in enumerate(value):
                if is_dataclass(entry):
                    check_fields(entry, f"{key}[{number}].")


def check_choice(choices: Collection[str], key: str, value: str | None) -> None:
    if value is not None and value not in choices:
        raise UserError(
            field=key,
            value=value,
            problem="is not one of the choices",
            remedy=f"{did_you_mean(value, choices)}Choose one of: {', '.join(choices)}.",
        )


def _check_engine(kind: str, key: str, value: str) -> None:
    check_choice(engines.choices(kind), key, value)


def check_bounds(least: float, most: float, key: str, value: float | None) -> None:
    if value is None or least <= value <= most:
        return
    if value > most:
        raise UserError(field=key, value=value, problem="is too large", remedy=f"At most {most}.")
    problem = "is not a number" if math.isnan(value) else "is too small"
    raise UserError(field=key, value=value, problem=problem, remedy=f"At least {least}.")


def paths(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All keys inside `value` (dicts and lists) with their values: nested keys with dots, places
    in lists as numbers.
    """
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in inner:
        yield f"{prefix}{name}", child
        if isinstance(child, dict | list):
            yield from paths(child, f"{prefix}{name}.")
