"""The result of a run, for Python."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from imagepipe.errors import UserError, figure
from imagepipe.sink import results
from imagepipe.sink.ledger import ENDS
from imagepipe.store import Store

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa
    from PIL.Image import Image


class Result:
    """The result of a run: `imagepipe.run(...)` returns it, `Result(folder)` opens an earlier run.

    A notebook shows its contact sheet.
    """

    def __init__(self, folder: str | Path) -> None:
        """Raises UserError if `folder` holds no run that has ended."""
        self.folder = Path(folder).absolute()
        try:
            said = json.loads((self.folder / "summary.json").read_text("utf-8"))
            self._id: str = said["samples"]["id"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                field="folder",
                value=folder,
                problem="holds no summary.json of a run",
                remedy="Name a run's folder, such as outputs/2026-01-31/12-00-00",
            ) from error
        self.summary: dict[str, Any] = said  # all of summary.json
        self._store = Store.of(said.get("store"), self.folder)

    @property
    def counts(self) -> dict[str, int]:
        """`rows_read`, and how many of these rows ended how."""
        return {name: self.summary[name] for name in ("rows_read", *ENDS) if name in self.summary}

    @property
    def images_per_s(self) -> float | None:
        """Pictures per second in steady state, or end to end if the run was too short."""
        rates = self.summary["images_per_s"]
        return rates["steady"] or rates["end_to_end"]

    @property
    def rates(self) -> dict[str, float | None]:
        """Pictures per second: `end_to_end`, and `steady` (null for too few pictures)."""
        return {name: self.summary["images_per_s"].get(name) for name in ("end_to_end", "steady")}

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """For each scorer `mean` and `std` over the pictures; empty without a scorer."""
        return self.summary["scores"]

    @property
    def mlflow(self) -> dict[str, str] | None:
        """Ids of the run in MLflow; None if it was not recorded."""
        ids = self.summary["mlflow"]
        return ids if ids["run_id"] else None

    @cached_property
    def table(self) -> pa.Table:
        """One row per picture: input columns, prompts, seed, image_path, scores, timings."""
        return results.table(self._store)

    def to_pandas(self) -> pandas.DataFrame:
        """`table` as a pandas DataFrame."""
        return self.table.to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """`table` as a polars DataFrame."""
        import polars

        frame = polars.from_arrow(self.table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    @cached_property
    def pictures(self) -> Pictures:
        """The pictures as PIL images, in the order of `table`; each is read when you use it."""
        return Pictures(self._store, self._id)

    def __repr__(self) -> str:
        read, *ends = (f"{count} {name}" for name, count in self.counts.items() if count)
        rate = f", {figure(self.images_per_s)} pictures/s" if self.images_per_s else ""
        return f"<imagepipe.Result {self.folder}: {read} = {' + '.join(ends)}{rate}>"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows."""
        sheet = self.folder / "contact_sheet.png"
        return sheet.read_bytes() if sheet.is_file() else None


class Pictures(Sequence["Image"]):
    """The pictures of a run as PIL's, in the order of its table; none is kept in memory."""

    def __init__(self, store: Store, id_column: str) -> None:
        self._store, self._id = store, id_column
        self._places = list(results.places(store))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | list[Image]:
        """Raises FileNotFoundError for a picture that somebody removed."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        from PIL import Image

        png = results.png_at(self._store, self._id, *self._places[index])
        return Image.open(io.BytesIO(png))
