"""Picture files beside a page, and their addresses in the page."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from imagepipe.store import Store, write_whole

MOST_COPIED = 1e9  # bytes beside a page


def seen_from(folder: Path, path: str | Path) -> str:
    """The address of `path`, on this machine, for a page in `folder`."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def files_of(store: Store, folder: Path) -> str | None:
    """The address prefix of `store`'s files; null if a browser cannot read them."""
    return None if "://" in store.url else seen_from(folder, store.url)


@dataclass
class Copies:
    """Copies of pictures that are no files, in the folder `name` beside a page in `folder`; at
    most `room` bytes.
    """

    folder: Path
    name: str
    room: float = MOST_COPIED
    made: set[str] = field(default_factory=set)

    def add(self, name: str, content: bytes) -> str | None:
        """The address of the copy `name`, made once; null without room for it."""
        if name not in self.made:
            self.room -= len(content)
            if self.room < 0:
                return None
            (self.folder / self.name / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / self.name / name, content)
            self.made.add(name)
        return quote(f"{self.name}/{name}")
