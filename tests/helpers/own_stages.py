"""Stages of a person's own, good and bad, as `stages` names them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa

Batch = dict[str, list[Any]]


class Larger:
    """Repeats each pixel `factor` times; a prompt with `fails` in it fails its row alone."""

    reads: tuple[str, ...] = ("image", "prompt")
    changes: tuple[str, ...] = ("image",)

    def __init__(self, factor: int = 2, fails: str = "\0") -> None:
        self.factor, self.fails = factor, fails

    def load(self) -> None:
        pass

    def process(self, batch: Batch) -> Batch:
        larger = [row.repeat(self.factor, 1).repeat(self.factor, 2) for row in batch["image"]]
        bad = ["not this" if self.fails in prompt else None for prompt in batch["prompt"]]
        return {"image": larger, "failed_reason": bad}


class Loud:
    """Writes prompts in capitals and says how long they are; into the file `noted` a line with the
    process each time that it is made."""

    reads = ("prompt",)
    adds = pa.schema([("letters", pa.int32())])
    changes = ("prompt",)

    def __init__(self, noted: str | None = None) -> None:
        if noted:
            with open(noted, "a", encoding="utf-8") as file:
                print(os.getpid(), file=file)

    def load(self) -> None:
        pass

    def process(self, batch: Batch) -> Batch:
        prompts = batch["prompt"]
        return {"prompt": [p.upper() for p in prompts], "letters": [len(p) for p in prompts]}


class Verdict:
    """Says what the column `of` means."""

    adds = pa.schema([("verdict", pa.string())])

    def __init__(self, of: str = "score") -> None:
        self.reads = (of,)

    def load(self) -> None:
        pass

    def process(self, batch: Batch) -> Batch:
        return {"verdict": [f"{value}" for value in batch[self.reads[0]]]}


class Says:
    """Says whatever it is told, so that anything can be tried."""

    def __init__(
        self,
        adds: Any = (),
        changes: Any = (),
        gives: Any = None,
        reads: Any = ("prompt",),
        raises: str | None = None,
    ) -> None:
        kinds = {"tensor": pa.month_day_nano_interval()}
        self.adds = (
            adds
            if isinstance(adds, str)
            else pa.schema([(name, kinds.get(name, pa.string())) for name in adds])
        )
        self.changes, self.reads = changes, reads if isinstance(reads, str) else tuple(reads)
        self.gives, self.raises = gives, raises

    def load(self) -> None:
        pass

    def process(self, batch: Batch) -> Batch:
        rows = len(next(iter(batch.values())))
        if self.raises and any(self.raises in prompt for prompt in batch["prompt"]):
            raise RuntimeError("a broken row")
        return {name: [value] * rows for name, value in (self.gives or {}).items()}


class NoStage:
    """Has nothing that a stage has."""


def picture(kind: str) -> Any:
    """What a class may take for the pictures of a row."""
    return {
        "floats": np.zeros((1, 8, 8, 3)),
        "one": np.zeros((8, 8, 3), np.uint8),
        "two": np.zeros((2, 8, 8, 3), np.uint8),
        "grey": np.zeros((1, 8, 8, 1), np.uint8),
        "empty": np.zeros((1, 0, 8, 3), np.uint8),
        "wide": np.zeros((1, 8, 17_000, 3), np.uint8),
        "text": "a picture",
    }[kind]


class Draws:
    """Gives each row a `kind` of picture."""

    reads = ("image",)
    changes = ("image",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def load(self) -> None:
        pass

    def process(self, batch: Batch) -> Batch:
        return {"image": [picture(self.kind) for _ in batch["image"]]}
