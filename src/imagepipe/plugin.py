"""Engines from a person's own package: `engine: custom` and a class named by `_target_`."""

from __future__ import annotations

from typing import Any, Protocol

from imagepipe.errors import UserError


class Custom(Protocol):
    """What a section of the configuration says of its engine."""

    engine: str
    _target_: str | None
    options: dict[str, Any]


def make(field: str, config: Custom, protocol: type) -> Any:
    """The class that `config._target_` names, called with `config`: it reads its `options` there.

    `field` is the section's name, `protocol` what the class must have the methods of. Raises
    UserError where there is no such class, or where a method is missing.
    """
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


def _class(field: str, config: Custom) -> Any:
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
