"""Custom stages: `stages: [{_target_: package.module.Class, after: model, ...}]`.

An entry holds the fields of `OwnStage`, those of its share, and the arguments of the class.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from imagepipe.config.shares import Share
from imagepipe.errors import UserError, did_you_mean, listed
from imagepipe.stages import engines

SHARE_FIELDS = frozenset(one.name for one in fields(Share))
NAME = re.compile(r"[a-z][a-z0-9_]*")  # it is part of columns, and of what Ray calls its processes
# What rows and operators say of themselves in the place of a stage.
TAKEN = ("read", "join", "order", "write", "sink", "filter", "score", "image", "pictures")


@dataclass
class OwnStage:
    """A stage run by your own class. Other keys of an entry are arguments of the class."""

    _target_: str = MISSING  # the class, package.module.Class
    after: str = MISSING  # the stage before it: prompt, llm, model, scorer, or one of your own
    name: str = ""  # name in reports; left out: from the class
    # arguments of the class; write their keys directly into the entry, beside those of its share
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def section(self) -> str:
        """The kind of its engine."""
        return "stages"

    @property
    def engine(self) -> str:
        return engines.OWN


FIELDS = frozenset(one.name for one in fields(OwnStage)) - {"arguments"}


def split(given: Any, *, auto: bool) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The node `stages` as fields of OwnStage, and their shares by name. With `auto`, a number
    of processes that is left out is chosen.

    Raises UserError if it is no list of mappings, or two have one name.
    """
    entries = [] if given is None else given
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise UserError(
            field="stages",
            value=given,
            problem="is not a list of stages",
            remedy="Give one as 'stages=[{_target_: my_package.Upscale, after: model}]'.",
        )
    sections, shares = [], {}
    for number, entry in enumerate(entries):
        name = str(entry.get("name") or _called(entry.get("_target_")))
        if name in shares:
            raise UserError(
                field=f"stages.{number}.name",
                value=name,
                problem="is the name of another stage of this run",
                remedy="Give each its own name: name=...",
            )
        arguments = {k: v for k, v in entry.items() if k not in FIELDS | SHARE_FIELDS}
        known = {key: value for key, value in entry.items() if key in FIELDS}
        sections.append(known | {"name": name, "arguments": arguments})
        share = {key: value for key, value in entry.items() if key in SHARE_FIELDS}
        shares[name] = {"pool": 0 if auto else 1} | share
    return sections, shares


def _called(target: Any) -> str:
    """`my_package.FaceRestore` is called face_restore."""
    cls = str(target or "").rpartition(".")[2]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls).lower()


def in_order(ours: Sequence[str], own: Sequence[OwnStage]) -> tuple[str, ...]:
    """The names of all stages: each of `own` after the stage that it names, in the order of the
    list. `scorer` means the last of several.
    """
    behind: dict[str, list[str]] = {}
    for one in own:
        place = ours[-1] if one.after == "scorer" and ours[-1].startswith("scorer") else one.after
        behind.setdefault(place, []).append(one.name)

    def from_(name: str) -> list[str]:
        return [name, *(inner for each in behind.get(name, ()) for inner in from_(each))]

    return tuple(name for stage in ours for name in from_(stage))


def check(own: Sequence[OwnStage], ours: Sequence[str]) -> None:
    """Raise UserError for a name that is not valid, or for a stage to come after that does not
    exist.
    """
    places = [*ours, *(["scorer"] if ours[-1].startswith("scorer") else [])]
    for number, one in enumerate(own):
        if one.name in (*places, *TAKEN) or not NAME.fullmatch(one.name):
            raise UserError(
                field=f"stages.{number}.name",
                value=one.name,
                problem="is the name of another stage"
                if NAME.fullmatch(one.name)
                else "names columns and processes",
                remedy="Use a-z, 0-9 and _, and no name that imagepipe has for a stage.",
            )
        if one.after not in places:
            raise UserError(
                field=f"stages.{number}.after",
                value=one.after,
                problem="there is no such stage to come after",
                remedy=did_you_mean(one.after, places).strip()
                or f"It can come after: {listed(places, one.after)}.",
            )
        places.append(one.name)
