"""Shared by reading and joining: blocks of a table, tasks over them, failed rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.errors import one_line
from imagepipe.sources import folders
from imagepipe.sources.formats.base import Rows, as_bytes_type, unpacked
from imagepipe.sources.tables import ORIGINAL, ORIGINAL_TYPE, File, Table, Tables
from imagepipe.sources.unreadable import Unreadable
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE

if TYPE_CHECKING:
    from ray.data import Dataset


def raw_blocks(table: Table, files: Sequence[File], num_cpus: float, **options: Any) -> Dataset:
    """Raw blocks of `files`, by Ray's own reader, which adds the columns that folders say."""
    from ray.data.datasource import Partitioning

    paths = [file.path for file in files]
    by_folder = Partitioning("hive", base_dir=table.base, filesystem=table.filesystem)
    return table.form.dataset(
        table.filesystem,
        paths,
        table.in_files,
        num_cpus=num_cpus,
        partitioning=by_folder if table.folders else None,
        **options,
    )


def decoded(raw: pa.Table, table: Table) -> Rows:
    """Typed columns of a raw block, those of folders at the end."""
    rows = table.form.decode(raw, table.in_files)
    for name in table.folders:
        texts = raw[name].unique()
        values = pa.array([folders.value(text) for text in texts.to_pylist()], pa.string())
        rows.table = rows.table.append_column(name, values.take(pc.index_in(raw[name], texts)))
    return rows


def scanned(table: Table, file: File, names: Sequence[str]) -> Iterator[Rows]:
    """The columns `names` of a file, read here and not by Ray."""
    inside = [name for name in names if name not in table.folders]
    of_folders = folders.values(file.path, table.base)
    values = {name: of_folders[name] for name in table.folders}
    wanted = inside or table.in_files.names[:1]
    for rows in table.form.scan(table.filesystem, file.path, table.in_files, wanted):
        rows.table = folders.with_values(rows.table, values).select(names)
        yield rows


def first_cells(tables: Tables, column: str, most: int) -> list[Any]:
    """So many of a column, by its original name, in the first block of the table that has it."""
    table = tables.table(column)
    blocks = (rows for file in table.files[:1] for rows in scanned(table, file, [column]))
    return [cell for rows in islice(blocks, 1) for cell in rows.table[column][:most].to_pylist()]


def broken_file(tables: Tables) -> str | None:
    """The first file that cannot be read to its end, and what is wrong: it is read once more."""
    for table in (tables.left, *(join.table for join in tables.joins)):
        for file in table.files:
            try:
                deque(scanned(table, file, table.schema.names), maxlen=0)
            except (Unreadable, OSError, pa.ArrowException) as error:
                return f"{file.path}: {one_line(error)}"
    return None


def original(rows: Rows) -> pa.Array:
    """The bytes of cells that are no text, a list a row; null if there are none."""
    if not rows.original:
        return pa.nulls(rows.table.num_rows, ORIGINAL_TYPE)
    cells: list[list[dict[str, Any]] | None] = [None] * rows.table.num_rows
    for name, by_row in rows.original.items():
        for row, cell in by_row.items():
            cells[row] = [*(cells[row] or []), {"column": name, "cell": cell}]
    return pa.array(cells, ORIGINAL_TYPE)


def restored(rows: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """`rows` without the column ORIGINAL, and with what it holds: cells that are not UTF-8.

    In a column with such a cell all text is bytes, since readers of Parquet refuse text that is
    none. `names` maps the columns' names in the files to those in `rows`.
    """
    if ORIGINAL not in rows.column_names:
        return rows
    original: dict[str, dict[int, bytes]] = {}
    for row, cells in enumerate(rows[ORIGINAL].to_pylist()):
        for cell in cells or []:
            original.setdefault(cell["column"], {})[row] = cell["cell"]
    rows = rows.drop_columns(ORIGINAL)
    for name, by_row in original.items():
        here = names.get(name, name)
        if here in rows.column_names:
            place = rows.schema.get_field_index(here)
            rows = rows.set_column(place, here, _with_bytes(rows[here], by_row))
    return rows


def _with_bytes(column: pa.ChunkedArray, cells: Mapping[int, bytes]) -> pa.ChunkedArray | pa.Array:
    """`column` with bytes for text, `cells` in the place of its own; as it is where it has none."""
    kind = as_bytes_type(column.type)
    try:
        values = column.cast(kind).to_pylist()
        for row, cell in cells.items():
            values[row] = cell if pa.types.is_binary(kind) else unpacked(cell)
        return pa.array(values, kind)
    except (pa.ArrowException, ValueError):  # of a value that Python has none for
        return column


def tasks(num_cpus: float) -> dict[str, Any]:
    """How all functions over blocks are run."""
    return {"batch_format": "pyarrow", "batch_size": None, "num_cpus": num_cpus}


def partitions() -> int:
    """How many parts a shuffle has: facts on Ray Data's join ask for 2 to 4 times the CPUs."""
    import ray

    return max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))


def with_ledger(
    rows: pa.Table, stages: Sequence[str | None], reasons: Sequence[str | None]
) -> pa.Table:
    """`rows` with these ledger columns at the end, in place of those that it may have."""
    rows = rows.drop_columns([n for n in (FAILED_STAGE, FAILED_REASON) if n in rows.column_names])
    rows = rows.append_column(FAILED_STAGE, pa.array(stages, pa.string()))
    return rows.append_column(FAILED_REASON, pa.array(reasons, pa.string()))
