"""The gallery of a run: a page with all rows, a sample of pictures inside it, the others beside
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagepipe.config import Config
from imagepipe.reports.beside import Copies
from imagepipe.reports.gallery.rows import Rows, thumbnails_in
from imagepipe.reports.gallery.write import FOLDER, PAGE, SAMPLE, Heading, write
from imagepipe.sink.thumbnails import Thumbnails
from imagepipe.store import Store

__all__ = ["PAGE", "SAMPLE", "Heading", "rows", "thumbnails", "write"]


def rows(folder: Path, store: Store, ids: Sequence[str], run: Config | None) -> Rows:
    """The rows in `store` for a page in `folder`; `run` drew them, null: no run did."""
    inputs = [*(_beside_table(run.dataset.path) if run else []), Path.cwd()]
    return Rows(folder, store, ids, Copies(folder, FOLDER), inputs, thumbnails_in(store))


def thumbnails(config: Config, count: int, store: Store) -> Thumbnails:
    """Which parts of a run of `count` rows get small pictures: none where all pictures are inside
    the page, or are in a bucket, which a page does not see.
    """
    most, pictures = config.sink.gallery_images, count * config.model.images_per_prompt
    if pictures <= SAMPLE or "://" in store.url:
        return Thumbnails()
    return Thumbnails(min(1.0, most / pictures), config.sink.png)


def _beside_table(path: object) -> list[Path]:
    """From where the paths of pictures in a table count: its folder, then the one above."""
    paths = path if isinstance(path, list | tuple) else [path]
    files = [Path(one) for one in paths if isinstance(one, str) and "://" not in one]
    return [place for file in files for place in (file, *list(file.absolute().parents)[:2])]
