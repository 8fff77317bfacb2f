"""Several scorers side by side: their keys with a name, and those of a single scorer without one.

`scorer` and `resources.scorer` hold fields, and sections by name that hold such fields.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from omegaconf import OmegaConf

from imagepipe.config.names import scorer_stages
from imagepipe.config.schema import Scorer
from imagepipe.config.shares import Share
from imagepipe.errors import UserError, did_you_mean, listed

Sections = dict[str, dict[str, Any]]
FIELDS = frozenset(one.name for one in fields(Scorer))
SHARE_FIELDS = frozenset(one.name for one in fields(Share))
OPEN = ("options", "questions", "request", "custom")  # fields that hold mappings themselves
# What a name may hold where it is one of several: it is part of columns and of keys.
NAME = re.compile(r"[A-Za-z0-9_-]+")


def split(given: Mapping[str, Any], known: Collection[str]) -> tuple[dict[str, Any], Sections]:
    """The fields in a node that are set without a scorer's name (those in `known`), and the
    sections by name.
    """
    inner = {
        key: dict(value)
        for key, value in given.items()
        if isinstance(value, Mapping) and not (key in known and key in OPEN)
    }
    return {key: value for key, value in given.items() if key not in inner}, inner


def sections(given: Mapping[str, Any]) -> Sections:
    """The scorers of the node `scorer`, by key. Fields without a name belong to a single scorer;
    a preset without a package line is one.

    Raises UserError if they could belong to several.
    """
    flat, inner = split(given, FIELDS)
    if not flat:
        return inner
    if not inner:
        return {str(flat.get("name", "scorer")): flat}
    if "name" in flat:
        raise UserError(
            field="scorer.name",
            value=flat["name"],
            problem=f"is one of several scorers (with {', '.join(inner)}), but its file does not "
            "say where it belongs",
            remedy=f"Make this the first line of its file: # @package scorer.{flat['name']}. Or "
            f"give another name: scorer.{next(iter(inner))}.name=...",
        )
    if len(inner) > 1:
        key, value = next(iter(flat.items()))
        raise UserError(
            field=f"scorer.{key}",
            value=value,
            problem=f"could belong to any of the scorers {', '.join(inner)}",
            remedy=f"Name one: scorer.{next(iter(inner))}.{key}=...",
        )
    [(name, one)] = inner.items()
    whole: Any = OmegaConf.to_container(OmegaConf.merge(one, flat), resolve=False)
    return {name: whole}


def check_keys(scorer: Mapping[str, Any], share: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise UserError for a key of the nodes `scorer` and `resources.scorer` that does not
    exist.

    `names` are the run's scorers.
    """
    flat, inner = split(scorer, FIELDS)
    _check_fields("scorer", flat, FIELDS, inner)
    for name, section in inner.items():
        _check_fields(f"scorer.{name}", section, FIELDS)
        if not section.keys() & {"name", "engine"}:
            there = [one for one in inner if one != name]
            raise UserError(
                field=f"scorer.{name}",
                value=section,
                problem="is none of this run's scorers",
                remedy=f"They are: {', '.join(there) or 'none'}. To have it too: "
                f"scorer=[{','.join([*there, name])}]",
            )
    flat, inner = split(share, SHARE_FIELDS)
    _check_fields("resources.scorer", flat, SHARE_FIELDS, names)
    for name, section in inner.items():
        if name not in names:
            _refuse(f"resources.scorer.{name}", section, [f"resources.scorer.{n}" for n in names])
        _check_fields(f"resources.scorer.{name}", section, SHARE_FIELDS)


def _check_fields(
    prefix: str, given: Mapping[str, Any], known: Collection[str], names: Collection[str] = ()
) -> None:
    for key, value in given.items():
        if key not in known:
            _refuse(f"{prefix}.{key}", value, [f"{prefix}.{one}" for one in (*known, *names)])


def _refuse(key: str, value: Any, known: Collection[str]) -> None:
    near = f"Keys here: {listed(sorted(known), key)}." if known else "There is no scorer."
    raise UserError(
        field=key,
        value=value,
        problem="there is no such key",
        remedy=did_you_mean(key, known).strip() or near,
    )


def by_name(found: Sections) -> Sections:
    """The sections by their `name`. Raises UserError if two have the same, or one cannot be a
    name among several.
    """
    named: Sections = {}
    for key, section in found.items():
        name = str(section.get("name", key))
        if name in named:
            raise UserError(
                field=f"scorer.{key}.name",
                value=name,
                problem="is the name of another scorer of this run",
                remedy="Give each a name of its own: its scores are found by it.",
            )
        if len(found) > 1 and not NAME.fullmatch(name):
            raise UserError(
                field=f"scorer.{key}.name",
                value=name,
                problem="names columns and keys, where there are several scorers",
                remedy="Use letters, digits, - and _ of ASCII.",
            )
        named[name] = section | {"name": name}
    return named


def shares(given: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The node `resources.scorer` as fields of Resources; fields set by name override the
    others. `scorers` has the share of each stage if there are several.
    """
    flat, inner = split(given, SHARE_FIELDS)
    if len(names) < 2:
        for name in names:
            flat |= inner.get(name, {})
        return {"scorer": flat}
    stages = {stage: flat | inner.get(name, {}) for stage, name in scorer_stages(names).items()}
    return {"scorer": flat, "scorers": stages}
