"""`imagepipe fetch ...`: downloads the models of a run from the hub, so that it works offline.

Complete files are not downloaded again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from imagepipe.cli import commands
from imagepipe.cli.composing import composed
from imagepipe.cli.messages import plainly
from imagepipe.config.formats import FORMATS
from imagepipe.errors import UserError

if TYPE_CHECKING:
    from imagepipe.config import Dataset, Join
    from imagepipe.execution.fetching import File


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all that the run loads is here, 2 something is not and cannot be downloaded."""
    meant = "settings of the run to download for, such as model=sdxl_turbo"
    parser = commands.run_parser("fetch", meant, "print one JSON object")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be downloaded")
    asked = parser.parse_intermixed_args(arguments)
    config = composed(asked.overrides, asked.config_dir)

    from imagepipe import sources
    from imagepipe.execution import fetching, pipeline

    found = {one: fetching.listed(one) for one in fetching.wanted(config)}
    files = [file for some in found.values() for file in some]
    if asked.json:
        print(json.dumps({"files": list(map(asdict, files)), "cache": _cache()}, indent=2))
    else:
        print("\n".join(_lines(files)))
    missing = sum(file.size or 0 for file in files if not file.cached)
    if asked.dry_run:
        return 0
    check_room(missing, Path(_cache()).absolute())
    for one, some in found.items():
        if any(not file.cached for file in some):
            fetching.fetch(one, [file.name for file in some])
    pipeline.check_engines(config)  # as the run will, which fetches nothing more
    joins = (config.dataset.join, *config.dataset.more_joins)
    if _on_hub(config.dataset) or any(map(_on_hub, joins)):
        sources.scan(config.dataset, config.limit, config.model.columns)
    print("All that this run loads is here.", file=sys.stderr)
    return 0


def _on_hub(table: Dataset | Join) -> bool:
    return "hf://" in str(table.path) or (table.format in FORMATS and FORMATS[table.format].on_hub)


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _lines(files: Sequence[File]) -> Iterator[str]:
    """One line per repository with what is cached and what is missing, then the files to
    download.
    """
    for field, name in dict.fromkeys((file.field, file.repository) for file in files):
        own = [file for file in files if (file.field, file.repository) == (field, name)]
        missing = [file for file in own if not file.cached]
        yield f"{field:<22} {name}: {_size(own)}, of which {_size(missing)} to be fetched"
        for file in missing:
            yield f"{'':<22} {_size([file]):>10}  {file.name}"
    missing = [file for file in files if not file.cached]
    yield f"{'in all':<22} {_size(missing)} to be fetched into {_cache()}"


def _size(files: Sequence[File]) -> str:
    size = sum(file.size or 0 for file in files)
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB" if size else "0 MB"


def check_room(size: int, cache: Path) -> None:
    """Raise UserError if the disk of the folder `cache` has less than `size` bytes free."""
    import shutil

    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise UserError(
            field="HF_HOME",
            value=cache,
            problem=f"has {free / 1e9:.1f} GB free, and {size / 1e9:.1f} GB are to be fetched",
            remedy="Make room, or set HF_HOME to a folder on a larger disk",
        )
