"""The keys of a section that name files: a model's folder, a LoRA, another decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

# Each with the key beside it that says the revision, where it is a model of the hub.
NAMING = {
    **dict.fromkeys(("path", "config"), "revision"),
    "processor": None,
    **{part: f"{part}_revision" for part in ("vae", "controlnet")},
}


@dataclass(frozen=True)
class Named:
    """What one key names: a file, a folder or a model of the hub; of an engine of a server's or of
    a person's own it may be none of them. `place` leads to the key: ("loras", 0, "path").
    """

    place: tuple[str | int, ...]
    path: str
    revision: str | None

    @property
    def key(self) -> str:
        """As errors call it: what a list names is known by the list's key."""
        return ".".join(takewhile(lambda one: isinstance(one, str), self.place))  # type: ignore[arg-type]


def named(section: Any) -> Iterator[Named]:
    """All that `section` of a configuration names, its parts and its lists too."""
    return _named((), asdict(section))


def _named(place: tuple[str | int, ...], value: Any) -> Iterator[Named]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _named((*place, number), one)
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key in NAMING and isinstance(one, str):
                yield Named((*place, key), one, value.get(NAMING[key]))
            else:
                yield from _named((*place, key), one)
