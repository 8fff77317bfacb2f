"""The formats, one file each; `base` says what a format is, `config.formats` lists them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from pkgutil import resolve_name
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from imagepipe.config.formats import FORMATS
from imagepipe.errors import UserError, did_you_mean
from imagepipe.sources.formats.base import BadOption, Format

SAID = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    NoneType: "null",
}


def of(prefix: str, name: str, options: Mapping[str, Any]) -> Format:
    """The format `name` with `options`, as the section `prefix` of the configuration says.

    Raises UserError if its library is not installed, and for an option that it has not.
    """
    line = FORMATS[name]
    if line.package is not None:
        try:
            importlib.import_module(line.package)
        except ImportError as error:
            raise UserError(
                field=f"{prefix}.format",
                value=name,
                problem=f"is read with {line.package}, which cannot be imported ({error})",
                remedy=f"Install it: pip install 'imagepipe[{line.extra}]'.",
            ) from error
    kind = resolve_name(line.made_by)
    known = {one.name for one in fields(kind) if one.init}
    types = get_type_hints(kind)
    for option, value in options.items():
        field = f"{prefix}.read.{option}"
        if option not in known:
            raise UserError(
                field=field,
                value=value,
                problem=f"is not an option of the format {name}",
                remedy=f"{did_you_mean(option, known)}Its options: {', '.join(sorted(known))}.",
            )
        takes = _classes(types[option])
        if not isinstance(value, takes) or (isinstance(value, bool) and bool not in takes):
            raise UserError(
                field=field,
                value=value,
                problem="is of another type",
                remedy=f"It takes {' or '.join(SAID[kind] for kind in takes)}.",
            )
    try:
        return kind(**options)
    except BadOption as error:
        raise error.of(prefix) from error


def _classes(kind: Any) -> tuple[type, ...]:
    """The classes of a type such as `list[Any] | None`."""
    parts = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return tuple(get_origin(part) or part for part in parts)
