"""Pictures as columns, on their way between stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

# Pictures of rows that differ in size: of a row the bytes of uint8 (n, height, width, 3).
PIXELS = pa.struct([("pixels", pa.large_binary()), ("height", pa.int32()), ("width", pa.int32())])


def pictures(column: pa.ChunkedArray) -> np.ndarray | list[np.ndarray]:
    """The pictures of each row of a column: uint8 (n, height, width, 3).

    One array without copies if all rows have one size. A null has none: (0, 0, 0, 3).
    """
    if not pa.types.is_struct(column.type):
        return arrays(column)
    cells = column.combine_chunks()
    cells = cells.chunk(0) if isinstance(cells, pa.ChunkedArray) else cells
    rows = zip(cells.is_valid(), *(cells.field(name) for name in PIXELS.names), strict=True)
    return [
        np.frombuffer(pixels.as_buffer(), np.uint8).reshape(-1, height.as_py(), width.as_py(), 3)
        if there.as_py()
        else np.empty((0, 0, 0, 3), np.uint8)
        for there, pixels, height, width in rows
    ]


def pixels(pictures: np.ndarray) -> dict[str, Any]:
    """A row's pictures, uint8 (n, height, width, 3), as a cell of type PIXELS."""
    return {"pixels": pictures.tobytes(), "height": pictures.shape[1], "width": pictures.shape[2]}


def arrays(column: pa.ChunkedArray) -> np.ndarray:
    """A tensor column as an array (rows, *shape), without a copy if the batch is in one piece. A
    row's pictures are uint8 (rows, n, height, width, 3).
    """
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    return array.to_numpy_ndarray()
