"""The keys of a section that name files: a model's folder, a LoRA, another VAE."""

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
    """What one key names: a file, a folder or a hub model; for a server or a custom engine
    perhaps none of them. `place` leads to the key: ("loras", 0, "path").
    """

    place: tuple[str | int, ...]
    path: str
    revision: str | None

    @property
    def key(self) -> str:
        """The key as errors show it: for an entry of a list, the key of the list."""
        return ".".join(takewhile(lambda one: isinstance(one, str), self.place))  # type: ignore[arg-type]


def named(section: Any) -> Iterator[Named]:
    """Everything that a `section` names, also in its parts and lists."""
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
