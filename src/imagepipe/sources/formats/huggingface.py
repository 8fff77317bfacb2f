"""Data sets of Hugging Face's `datasets`: saved to disk, or on the hub."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.errors import did_you_mean, listed
from imagepipe.sources.formats.base import BadOption
from imagepipe.sources.formats.external import ROWS, External
from imagepipe.sources.unreadable import Unreadable

SAVED = ("state.json", "dataset_dict.json")  # one of them is in what `save_to_disk` wrote


@dataclass(frozen=True)
class HuggingFace(External):
    """A folder that `save_to_disk` wrote, or a data set's name on the hub.

    What is of the hub comes through its library, which keeps it in its cache and knows HF_TOKEN.
    """

    split: str | None = None  # null: the only one that there is
    config: str | None = None  # of the hub: which of several configurations
    revision: str | None = None  # of the hub: null is the newest

    name: ClassVar[str] = "huggingface"
    look: ClassVar[str] = "Check the name, the network, and that you (or HF_TOKEN) may read it."

    def place(self, path: str) -> str:
        return super().place(path) if os.path.exists(os.path.expanduser(path)) else path

    def opened(self, place: str) -> tuple[HuggingFace, str]:
        splits = self._splits(place)
        if self.split is None and len(splits) > 1:
            raise BadOption(
                *("split", None, "is needed: the data set has several"),
                f"Name one of them: {listed(splits)}.",
            )
        split = self.split or next(iter(splits), None)
        if split is not None and split.partition("[")[0] not in splits:
            remedy = f"Splits: {listed(splits)}." if splits else "It has none: leave it out."
            raise BadOption(
                *("split", split, "is not a split of the data set"),
                did_you_mean(split, splits) + remedy,
            )
        return replace(self, split=split), place

    def columns_of(self, place: str) -> pa.Schema:
        return self._loaded(place).features.arrow_schema

    def batches(self, place: str, schema: pa.Schema, wanted: Sequence[str]) -> Iterator[pa.Table]:
        rows = self._loaded(place).select_columns(list(wanted)).with_format("arrow")
        yield from rows.iter(batch_size=ROWS)

    def features(self, filesystem: FileSystem, path: str) -> dict[str, Any]:
        return self._loaded(path).features.to_dict()

    def _splits(self, place: str) -> Collection[str]:
        """The names of the splits; none where a saved data set has no such."""
        import datasets

        if _is_saved(place):
            saved = datasets.load_from_disk(place)
            return list(saved) if isinstance(saved, datasets.DatasetDict) else []
        if os.path.isdir(place) and not os.listdir(place):
            raise Unreadable("is an empty folder", "Name what save_to_disk wrote.")
        try:
            return datasets.get_dataset_split_names(place, self.config, revision=self.revision)
        except ValueError as error:
            configs = datasets.get_dataset_config_names(place, revision=self.revision)
            if self.config in configs:
                raise
            raise BadOption(
                *("config", self.config, "is none of the data set's configurations"),
                f"Name one of them: {listed(configs)}.",
            ) from error

    def _loaded(self, place: str) -> Any:
        import datasets

        if _is_saved(place):
            saved = datasets.load_from_disk(place)
            return saved[self.split] if isinstance(saved, datasets.DatasetDict) else saved
        return _of_hub(place, self.config, self.split, self.revision)


@lru_cache(maxsize=4)
def _of_hub(place: str, config: str | None, split: str | None, revision: str | None) -> Any:
    """A data set of the hub, which is asked once."""
    import datasets

    return datasets.load_dataset(place, config, split=split, revision=revision)


def _is_saved(place: str) -> bool:
    return any(os.path.isfile(os.path.join(place, name)) for name in SAVED)
