"""What a stage is, and the engines that do its work.

Users' own stages may rely on the names below: docs/plugins.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FAILED_REASON", "RowStage"]

FAILED_REASON = "failed_reason"  # the column that says why a row failed; null: it did not


class RowStage(Protocol):
    """A class that `stages` names. It is constructed with the arguments given there, once on the
    driver as a check, and once in each worker process, where `load` is called.

    `reads` are the columns that it gets. `adds` are new columns with their types, and `changes` are
    columns that it changes: `base_prompt` before the LLM, `prompt` before the model, `image` after
    it. A class that adds or changes nothing leaves these out.
    """

    reads: tuple[str, ...]
    adds: pa.Schema
    changes: tuple[str, ...]

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def process(self, batch: dict[str, list[Any]]) -> Mapping[str, list[Any]]:
        """From the columns in `reads`, return those in `adds` and `changes`, one value per row.

        `image` holds the pictures of each row, uint8 (n, height, width, 3), where n is
        `model.images_per_prompt`; the returned pictures may have another size. To fail a row,
        return a text for it in the column FAILED_REASON. After an exception, halves of the batch
        are tried until only the rows that raise it fail.

        The result for a row must not depend on other rows of the batch.
        """
        ...
