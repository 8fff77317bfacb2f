"""Jobs as runs leave them in their folders, for what compares them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from imagepipe.config import Sweep
from imagepipe.reports import comparison
from imagepipe.reports.statistics import BLOCKS

ATTACK = "</script><script>document.title='broken in'</script><img src=x onerror=alert(1)>"
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def png(color: tuple[int, int, int], side: int = 600) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), color).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Made:
    """A job: `color` null draws nothing and fails. Row n is `ids[n]`, drawn with `prompts[n]`, of
    category `categories[n]`; its score is `scores[n]`, or `score` for all. Pictures are in the
    table, or files `beside` it.
    """

    swept: dict[str, str]
    rate: float | None = None
    score: float | None = None
    color: tuple[int, int, int] | None = None
    prompts: Sequence[str] = ("a cat", "a dog")
    steady: bool = True
    scores: Sequence[float | None] = ()
    categories: Sequence[str | None] = ()
    ids: Sequence[str] = ()
    base: str = f"base {{}} {ATTACK}"
    beside: bool = False
    side: int = 600
    more: dict[str, Any] = field(default_factory=dict)  # of summary.json
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)  # of the table

    @property
    def label(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.swept.items())

    def write(self, folder: Path, number: int) -> None:
        """Into `folder/number`."""
        summary = {
            "status": "FINISHED" if self.color else "FAILED",
            "trouble": None if self.color else f"no such thing: {ATTACK}",
            "sweep": {"name": "s", "job": number, "label": self.label, "swept": self.swept},
        }
        own = folder / str(number)
        own.mkdir(parents=True, exist_ok=True)
        if self.color:
            rates = {"steady": self.rate if self.steady else None, "end_to_end": self.rate}
            if self.steady and self.rate:
                rates |= {"blocks": [[8 * self.rate, 8.0 + place / 100] for place in range(BLOCKS)]}
            each = [s for s in self._scores() if s is not None]
            figures = {"mean": sum(each) / len(each), "std": 0.1, "count": len(each)} if each else 0
            category = "kind" if self.categories else None
            summary |= {
                "images_per_s": rates,
                "stages": {"model": {"utilisation": 0.5}, "write": {"utilisation": None}},
                "scores": {"clip": figures} if figures else {},
                "rows_for_interval": 304,
                "samples": {"id": "id", "ids": self._ids()[:8], "category": category},
                "pictures": 1234,
                "failed": 0,
            }
            self._table(own)
        (own / "summary.json").write_text(json.dumps(summary | self.more))

    def _ids(self) -> list[str]:
        return list(self.ids) or [f"r{place}" for place in range(len(self.prompts))]

    def _scores(self) -> list[float | None]:
        return list(self.scores) or [self.score] * len(self.prompts)

    def _table(self, folder: Path) -> None:
        picture = png(self.color, self.side)
        rows = []
        for place, (name, prompt) in enumerate(zip(self._ids(), self.prompts, strict=True)):
            row = {
                "id": name,
                "base_prompt": self.base.format(place),
                "prompt": prompt,
                "seed": 7 + place,
                "score": self._scores()[place],
                "image_path": f"images/{name}.png",
            }
            row |= {name: each[place] for name, each in self.columns.items()}
            if self.categories:
                row["kind"] = self.categories[place]
            if self.beside:
                (folder / "images").mkdir(exist_ok=True)
                (folder / "images" / f"{name}.png").write_bytes(picture)
            else:
                row["image"] = {"bytes": picture, "path": None}
            rows.append(row)
        (folder / "table").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / "table" / "part.parquet")


def swept_into(
    folder: Path, jobs: Sequence[Made], aim: Sweep | None = None
) -> comparison.Comparison:
    """A sweep of `jobs` in `folder`, compared there."""
    for number, job in enumerate(jobs):
        job.write(folder, number)
    return comparison.write(folder, aim or Sweep())
