"""A composed configuration with mappings and lists in place of references to them."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from imagepipe.errors import UserError, one_line

KINDS = {DictConfig: "a mapping", ListConfig: "a list"}


def values(cfg: DictConfig, schema: DictConfig) -> dict[str, Any]:
    """`cfg` as dicts and lists. A reference to a single value, such as ${seed}, stays as it is
    written; one to a mapping or a list becomes what it refers to, so that its keys are checked.

    Raises UserError for a reference to nothing, and for one to another kind than `schema` has.
    """
    given: Any = OmegaConf.to_container(cfg, resolve=False)
    _replace(given, cfg, schema, "")
    return given


def _replace(given: dict[Any, Any] | list[Any], cfg: Any, schema: Any, prefix: str) -> None:
    for name, value in given.items() if isinstance(given, dict) else enumerate(given):
        if isinstance(value, dict | list):
            if _refers(value):  # else all of it would be read node by node, which is slow
                _replace(value, cfg[name], _inside(schema, name), f"{prefix}{name}.")
        elif isinstance(value, str) and "${" in value and OmegaConf.is_interpolation(cfg, name):
            given[name] = _referred(cfg, name, value, _inside(schema, name), f"{prefix}{name}")


def _refers(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_refers, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and "${" in value


def _inside(schema: Any, name: Any) -> Any:
    if not isinstance(schema, DictConfig) or OmegaConf.is_missing(schema, name):
        return None
    return schema.get(name) if name in schema else None


def _referred(cfg: Any, name: Any, written: str, wanted: Any, key: str) -> Any:
    try:
        found = cfg[name]
    except OmegaConfBaseException as error:
        raise UserError(
            field=key,
            value=written,
            problem=f"refers to nothing that fits ({one_line(error)})",
            remedy="Name a key that has a value, or write the value itself (in a prompt a column "
            "is {name}, and a plain dollar sign before a brace is \\$)",
        ) from error
    kind = next((kind for kind in KINDS if isinstance(wanted, kind)), None)
    if kind and not isinstance(found, kind):
        raise UserError(
            field=key,
            value=written,
            problem=f"does not refer to {KINDS[kind]}",
            remedy="Name a key that holds one, or leave it out",
        )
    return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else written
