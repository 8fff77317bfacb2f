"""A file of a data set on Hugging Face's hub, fetched once and kept in the hub's own cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pyarrow import fs

from imagepipe.stages.hub import refused

# hf://datasets/OWNER/NAME@REVISION/FILE, as huggingface_hub writes it; globs are left to it.
FILE = re.compile(
    r"hf://datasets/(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w.-]+))?/(?P<file>[^*?\[\]]+\.\w+)"
)


class Cached(fs.SubTreeFileSystem):
    """The folder of a revision in the cache, with that one file; each machine has it in its own.

    Without a network, or with HF_HUB_OFFLINE=1, what was fetched before is read. Raises UserError
    where the hub does not give the file.
    """

    def __init__(self, key: str, name: str, revision: str | None, file: str) -> None:
        self.asked = (key, name, revision, file)
        from huggingface_hub import hf_hub_download

        try:
            where = hf_hub_download(name, file, revision=revision, repo_type="dataset")
        except Exception as error:  # whatever the reason, the hub does not give it
            raise refused(key, name, revision, error, f"'{file}'", kind="dataset") from error
        folder = Path(where).parents[file.count("/")]
        super().__init__(str(folder), fs.LocalFileSystem())

    def __reduce__(self) -> tuple[Any, ...]:
        return Cached, self.asked
