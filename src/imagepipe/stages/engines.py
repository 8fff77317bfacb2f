"""From a section of the configuration to its engine: one of ours by name, or with `engine: custom`
a class of a person's own, named by `_target_`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from imagepipe.errors import UserError


class Section(Protocol):
    """What a section of the configuration says of its engine."""

    engine: str
    _target_: str | None
    options: dict[str, Any]


def make(field: str, config: Any, known: Mapping[str, Callable[[Any], Any]], protocol: type) -> Any:
    """The engine that `config.engine` names, not yet loaded.

    `field` is the section's name, `known` {name: what makes it}, `protocol` what a class of a
    person's own must have the methods of; it is called with `config` and reads its `options`
    there. Raises UserError for other names, and for a class that is not to be had or lacks a
    method.
    """
    if config.engine == "custom":
        return _own(field, config, protocol)
    if config.engine not in known:
        raise UserError(
            field=f"{field}.engine",
            value=config.engine,
            problem="no such engine",
            remedy=f"Use one of {', '.join(known)}.",
        )
    return known[config.engine](config)


def _own(field: str, config: Section, protocol: type) -> Any:
    made = _class(field, config)(config)
    lacking = [name for name in _methods(protocol) if not callable(getattr(made, name, None))]
    if lacking:
        raise UserError(
            field=f"{field}._target_",
            value=config._target_,
            problem=f"lacks the method{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}",
            remedy=f"It has to be what {protocol.__module__}.{protocol.__name__} describes.",
        )
    return made


def _class(field: str, config: Section) -> Any:
    from hydra.utils import get_class

    if not config._target_:
        raise UserError(
            field=f"{field}._target_",
            value=config._target_,
            problem=f"{field}.engine=custom needs a class of your own",
            remedy="Name it as package.module.Class.",
        )
    try:
        return get_class(config._target_)
    except Exception as error:  # whatever importing somebody's module raises
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise UserError(
            field=f"{field}._target_",
            value=config._target_,
            problem=f"cannot be imported ({reason})",
            remedy="Name it as package.module.Class, and install the package here or start "
            "imagepipe in the folder that holds it.",
        ) from error


def _methods(protocol: type) -> list[str]:
    return [name for name, value in vars(protocol).items() if callable(value) and name[0] != "_"]
