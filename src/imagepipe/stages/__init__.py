"""What a stage is, and the engines that do its work.

The names below are what a stage of a person's own may rely on: docs/plugins.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FAILED_REASON", "RowStage"]

FAILED_REASON = "failed_reason"  # the column that says why a row failed; null: it did not


class RowStage(Protocol):
    """A class that `stages` names. It is made twice, with the arguments that stand there: on the
    driver, to see that it can be, and in each process that works, where `load` is called once.

    `reads` are the columns that it looks at. `adds` are those that it adds, with their types, and
    `changes` those that it gives other values: `base_prompt` before the LLM, `prompt` before the
    model, `image` behind it. A class that adds or changes nothing leaves these out.
    """

    reads: tuple[str, ...]
    adds: pa.Schema
    changes: tuple[str, ...]

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def process(self, batch: dict[str, list[Any]]) -> Mapping[str, list[Any]]:
        """The columns of `adds` and `changes`, a value a row, of the columns of `reads`.

        `image` holds of each row its pictures, uint8 (n, height, width, 3), n being
        `model.images_per_prompt`; they may come back in another size. FAILED_REASON may be among
        what is returned: a row with a text there fails alone. Where an exception is raised, the
        halves of the batch are tried, down to the rows that fail with it.

        A row depends on what it holds alone, not on its neighbours in the batch.
        """
        ...
