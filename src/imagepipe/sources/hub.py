"""Files of a data set on Hugging Face's hub, downloaded once into the hub's own cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyarrow import fs

from imagepipe.stages.hub import refused

# hf://datasets/OWNER/NAME@REVISION/FILE, as huggingface_hub writes it; globs are left to it.
FILE = re.compile(
    r"hf://datasets/(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w.-]+))?/(?P<file>[^*?\[\]]+\.\w+)"
)


class Cached(fs.SubTreeFileSystem):
    """The folder of a revision in the cache, with those files; each machine has it in its own.

    Without a network, or with HF_HUB_OFFLINE=1, what was fetched before is read. Raises UserError
    where the hub does not give a file.
    """

    def __init__(self, key: str, name: str, revision: str | None, *files: str) -> None:
        self.asked, self.files = (key, name, revision), files
        from huggingface_hub import hf_hub_download

        for file in files:
            try:
                where = hf_hub_download(name, file, revision=revision, repo_type="dataset")
            except Exception as error:  # whatever the reason, the hub does not give it
                raise refused(key, name, revision, error, f"'{file}'", kind="dataset") from error
            folder = Path(where).parents[file.count("/")]
        super().__init__(str(folder), fs.LocalFileSystem())

    def __reduce__(self) -> tuple[Any, ...]:
        return Cached, (*self.asked, *self.files)


def together(filesystems: Sequence[fs.FileSystem]) -> fs.FileSystem:
    """One for the files of several that are equal: of the hub it has the files of all."""
    first = filesystems[0]
    if not isinstance(first, Cached) or len(filesystems) == 1:
        return first
    files = [file for one in filesystems if isinstance(one, Cached) for file in one.files]
    return Cached(*first.asked, *files)
