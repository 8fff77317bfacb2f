"""Settings of single rows: `model.columns`, from cells to settings of the model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from pkgutil import resolve_name
from typing import Any

import pyarrow as pa

from imagepipe.config import Model, check_model
from imagepipe.config.models import PICTURE_KEY, SEED, is_template, text_column
from imagepipe.diffusion.refusals import refused
from imagepipe.errors import UserError, shown
from imagepipe.prompts.cells import is_blank
from imagepipe.stages import engines
from imagepipe.stages.stage import FAILED_STAGE

# Settings of the model that a row may have, and what their cells hold. Whatever else
# `model.columns` names is an argument of the pipeline's call.
NUMBERS: dict[str, type] = {"steps": int, "width": int, "height": int, "guidance": float}
SIZES = ("width", "height")
LORA = re.compile(r"lora_(\d+)")  # the weight of the LoRA with that number
STRENGTH = "strength"  # how far a picture that goes in is changed: the call's argument
# Texts of which each picture of a batch can have its own.
TEXTS = re.compile(r"negative_prompt|(negative_)?prompt_\d")
MOST_KEPT = 4096  # different settings that a process remembers

Cells = tuple[Any, ...]  # what one row has in the columns of `RowSettings`, in their order


@dataclass(frozen=True)
class Strength:
    """How a pipeline counts the steps that change an input picture: `strength` times all steps."""

    usual: float | None = None  # where none is said; null: it has no strength
    draws_begun: bool = False  # whether one that this only begins is drawn, as models of flows do

    def check(self, model: Model) -> None:
        """Raise UserError if no step of `model` would change the picture."""
        said = model.call_kwargs.get(STRENGTH)
        strength = self.usual if said is None else said
        if not model.pictures or not isinstance(strength, int | float):
            return
        if not 0 < strength <= 1:
            raise refused(
                f"call_kwargs.{STRENGTH}",
                strength,
                "is not between 0 and 1",
                "Give a number from 0 to 1.",
            )
        rows_say = said is None and not model.columns.keys().isdisjoint((STRENGTH, "steps"))
        if rows_say or self.draws_begun or int(model.steps * strength) > 0:
            return
        enough = f"Give {math.ceil(1 / strength)} steps, or more"
        if said is None:
            raise refused(
                "steps",
                model.steps,
                f"the pipeline's own strength, {strength:g}, leaves none of them",
                f"{enough}, or a strength: 'model.call_kwargs={{strength: 1}}'.",
            )
        raise refused(
            f"call_kwargs.{STRENGTH}",
            strength,
            f"leaves none of model.steps={model.steps}",
            f"{enough}.",
        )


@dataclass(frozen=True)
class RowSettings:
    """How the rows' settings are found: `model` is what holds where a cell is null.

    `columns` maps keys of the section `model`, or arguments of its pipeline's call, to columns of
    the batch, and `pictures` those of the pictures that go in; the column `seed` holds seeds. Width
    and height are multiples of `factor` pixels, and no more than `most`.
    """

    model: Model
    columns: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    seed: str | None = None
    factor: int = 1
    most: float = math.inf
    strength: Strength = Strength()

    @property
    def varies_in_size(self) -> bool:
        return any(key in self.columns for key in SIZES)

    @property
    def shared(self) -> list[str]:
        """The columns in which rows must agree to be drawn together."""
        return [name for key, name in self.columns.items() if not TEXTS.fullmatch(key)]

    def ordered(self, rows: pa.Table, batch: int) -> pa.Table:
        """`rows` with those that can be drawn together beside each other: first as many of each
        kind as fill batches of so many rows, then the others. What has failed fills no batch of
        what has not.
        """
        failed = rows[FAILED_STAGE].is_valid().to_pylist()
        texts = [map(str, rows[name].to_pylist()) for name in self.shared]
        kinds = list(zip(failed, *texts, strict=True))
        whole, rest = [], []
        for _, own in groupby(sorted(range(len(kinds)), key=kinds.__getitem__), kinds.__getitem__):
            alike = list(own)
            end = len(alike) // batch * batch
            whole += alike[:end]
            rest += alike[end:]
        return rows.take(pa.array(whole + rest, pa.int64()))

    def cells(self, rows: pa.Table) -> list[Cells]:
        columns = [map(_plain, rows[name].to_pylist()) for name in self.columns.values()]
        return list(zip(*columns, strict=True)) if columns else [()] * rows.num_rows

    def maker(self) -> Callable[[Cells], tuple[Model | None, str | None]]:
        """A function from cells to the model settings of that row, or why there are none. Equal
        cells give the same object.
        """
        remembered = lru_cache(MOST_KEPT)(self._made)

        def make(cells: Cells) -> tuple[Model | None, str | None]:
            for name, cell in zip(self.columns.values(), cells, strict=True):
                if not isinstance(cell, str | int | float | None):
                    return None, f"column {name!r} holds {shown(cell)}, no number or text"
            return remembered(cells, tuple(map(type, cells)))  # True is not 1

        return make

    def _made(self, cells: Cells, _: tuple[type, ...]) -> tuple[Model | None, str | None]:
        made = replace(self.model, columns=self.model.pictures)
        try:
            for (key, column), cell in zip(self.columns.items(), cells, strict=True):
                if cell is not None:
                    made = _with(made, key, _value(key, column, cell))
            check_model(made)
            self.strength.check(made)
        except (UserError, ValueError) as error:
            return None, str(error)
        for key in SIZES:
            if getattr(made, key) % self.factor:
                said = f"model.{key}={getattr(made, key)}: cannot be divided by {self.factor}"
                return None, f"{said}, as this model's picture decoder needs"
            if getattr(made, key) > self.most:
                said = f"model.{key}={getattr(made, key)}: is too large for sink.image_format"
                return None, f"{said}. At most {self.most}."
        return made, None


def settings(model: Model, renamed: Mapping[str, str], most: float = math.inf) -> RowSettings:
    """Those that `model.columns` names; `renamed` maps columns to their names in the batch, where
    the two differ, and `most` pixels fit the format of the pictures.
    """
    columns = {
        key: text_column(key) if is_template(key, name) else renamed.get(name, name)
        for key, name in model.columns.items()
    }
    pictures = {key: columns.pop(key) for key in model.pictures}
    seed = columns.pop(SEED, None)
    factor, strength = 1, Strength()
    known = engines.of("model", model).row_limits
    if known and (pictures or any(key in columns for key in SIZES)):
        factor, strength = resolve_name(known)(model)
    return RowSettings(model, columns, pictures, seed, factor, most, strength)


def is_setting(key: str) -> bool:
    """Whether `key` of `model.columns` is no argument of a pipeline's call."""
    named = key in NUMBERS or key in (SEED, "negative_prompt")
    return named or any(kind.fullmatch(key) for kind in (LORA, PICTURE_KEY))


def check(model: Model) -> None:
    """Raise UserError for a key of `model.columns` that no row can decide."""
    for key, column in model.columns.items():
        found = LORA.fullmatch(key)
        if found and int(found[1]) >= len(model.loras):
            raise refused(f"columns.{key}", column, "model.loras has no such LoRA", "Leave it out.")
        if key in {declared.name for declared in fields(Model)} and not is_setting(key):
            able = ", ".join((SEED, *NUMBERS, "negative_prompt", "lora_0", "image"))
            raise refused(
                f"columns.{key}", column, "applies to the whole run", f"A row can set {able}."
            )


def together(model: Model) -> Model:
    """`model` without what each picture of a batch can have of its own: pictures whose results
    are equal can be drawn together. But a text that one has and another lacks separates them.
    """
    texts = {key: "" for key in model.call_kwargs if TEXTS.fullmatch(key)}
    negative = None if model.negative_prompt is None else ""
    return replace(model, negative_prompt=negative, call_kwargs=model.call_kwargs | texts)


def _with(model: Model, key: str, value: Any) -> Model:
    if found := LORA.fullmatch(key):
        loras = list(model.loras)
        loras[int(found[1])] = replace(loras[int(found[1])], weight=value)
        return replace(model, loras=loras)
    if key in NUMBERS or key == "negative_prompt":
        changes: dict[str, Any] = {key: value}
        return replace(model, **changes)
    return replace(model, call_kwargs={**model.call_kwargs, key: value})


def _plain(cell: Any) -> Any:
    """A number or a text; null also for NaN, as pandas writes it, and for blanks."""
    return None if is_blank(cell) else float(cell) if isinstance(cell, Decimal) else cell


def _number(cell: Any) -> float | None:
    """The number in a cell, also as text of a CSV; null if it is none."""
    try:
        number = math.nan if isinstance(cell, bool) else float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _value(key: str, column: str, cell: Any) -> Any:
    """Raises ValueError if a cell is no value for `key`."""
    if TEXTS.fullmatch(key):
        if not isinstance(cell, str):
            raise ValueError(f"column {column!r}, for {key}, holds {shown(cell)}, no text")
        return cell
    number = _number(cell)
    kind = float if LORA.fullmatch(key) or key == STRENGTH else NUMBERS.get(key)
    if kind is None:
        if number is None:
            return cell
        return int(number) if number.is_integer() else number
    if number is None or (kind is int and not number.is_integer()):
        what = "whole number" if kind is int else "number"
        raise ValueError(f"column {column!r}, for {key}, holds {shown(cell)}, no {what}")
    return kind(number)
