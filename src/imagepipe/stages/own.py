"""Custom stages: a `RowStage` as a stage of the pipeline."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from imagepipe.errors import UserError, one_line
from imagepipe.stages import FAILED_REASON, RowStage
from imagepipe.stages.pictures import PIXELS, pictures, pixels
from imagepipe.stages.stage import Columns, Stage

IMAGE = "image"
# What may be changed, with the type that it has from then on.
CHANGEABLE = {"base_prompt": pa.string(), "prompt": pa.string(), IMAGE: PIXELS}
METHODS = ("load", "process")


class Section(Protocol):
    """An entry of `stages`."""

    _target_: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Pictures:
    """What a picture must be: `each` per row, and no side longer than `most` pixels."""

    each: int
    most: float


def stage(section: Section, key: str, wanted: Pictures, *, behind_model: bool) -> Stage:
    """The stage that `section` describes; `key` is its place in the configuration.

    If it raises an exception `behind_model`, the picture is kept, and the column NAME_error says
    why the stage's columns are null. But a stage that changes pictures fails the row.

    Raises UserError if the class cannot be imported or constructed, or is no RowStage.
    """
    recipe = partial(make, section._target_, section.arguments, key)
    made = recipe()
    reads, changes = _names(made, key, "reads"), _names(made, key, "changes")
    adds = getattr(made, "adds", pa.schema([]))
    if not isinstance(adds, pa.Schema):
        raise _wrong(key, made, "adds", adds, "Give a pyarrow.schema([(name, type), ...]).")
    _check_kinds(key, made, adds)
    if unknown := [name for name in changes if name not in CHANGEABLE]:
        remedy = f"It may change {', '.join(CHANGEABLE)}. A column of its own stands in adds."
        raise _wrong(key, made, "changes", ", ".join(unknown), remedy)
    error = f"{section.name}_error" if behind_model and not changes else None
    return Stage(
        section.name,
        reads,
        adds if error is None else adds.append(pa.field(error, pa.string())),
        partial(_worker, recipe, wanted, error),
        changes=pa.schema([(name, CHANGEABLE[name]) for name in changes]),
        out_of_memory_hint=f"give it more of a GPU ({key}.num_gpus)",
        error=error,
    )


def make(target: str, arguments: Mapping[str, Any], key: str) -> RowStage:
    """The class `target`, constructed with `arguments` as by Hydra; works in any process.

    Raises UserError if it cannot be constructed, or lacks what a RowStage has.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        made = instantiate({"_target_": target, "_convert_": "all", **arguments})
    except InstantiationException as error:
        raise UserError(
            field=f"{key}._target_",
            value=target,
            problem=f"cannot be made ({one_line(_cause(error)).rstrip('.')})",
            remedy="Name it as package.module.Class, install the package here or start imagepipe "
            "in the folder that holds it, and give the arguments that it takes beside it.",
        ) from error
    lacking = [name for name in METHODS if not callable(getattr(made, name, None))]
    lacking += [] if hasattr(made, "reads") else ["reads"]
    if lacking:
        raise UserError(
            field=f"{key}._target_",
            value=target,
            problem=f"is no stage: it lacks {', '.join(lacking)}",
            remedy="It has to be a class as imagepipe.stages.RowStage describes.",
        )
    return made


def _cause(error: BaseException) -> BaseException:
    """The innermost cause: Hydra's own message has several lines."""
    return _cause(error.__cause__) if error.__cause__ else error


def _names(made: RowStage, key: str, attribute: str) -> tuple[str, ...]:
    names = getattr(made, attribute, ())
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise _wrong(key, made, attribute, names, "Give the names of columns in a tuple.")
    return tuple(dict.fromkeys(names))


def _check_kinds(key: str, made: RowStage, adds: pa.Schema) -> None:
    """Raise UserError for a type that no table can hold."""
    import pyarrow.parquet as pq

    for field in adds:
        try:
            pq.write_table(pa.schema([field]).empty_table(), io.BytesIO())
        except pa.ArrowException as error:
            problem = f"{field.name}: {field.type}"
            remedy = f"A table cannot hold that ({one_line(error)})."
            raise _wrong(key, made, "adds", problem, remedy) from error


def _wrong(key: str, made: RowStage, attribute: str, value: object, remedy: str) -> UserError:
    return UserError(
        field=f"{key}._target_",
        value=f"{type(made).__module__}.{type(made).__qualname__}",
        problem=f"has {attribute} that cannot be used ({value})",
        remedy=remedy,
    )


def _worker(
    recipe: Callable[[], RowStage], wanted: Pictures, error: str | None
) -> Callable[[pa.Table], Columns]:
    made = recipe()
    made.load()
    gives = [*getattr(made, "adds", pa.schema([])).names, *getattr(made, "changes", ())]

    def work(rows: pa.Table) -> Columns:
        batch = {name: _cells(name, rows[name]) for name in made.reads}
        given = dict(made.process(batch))
        _check_columns(given, gives, rows.num_rows)
        reasons = [_text(one) for one in given.get(FAILED_REASON, [None] * rows.num_rows)]
        for name in CHANGEABLE.keys() & gives:
            given[name], reasons = _good(name, given[name], reasons, wanted)
        good = {} if error is None else {error: [None] * rows.num_rows}
        return given | {FAILED_REASON: reasons} | good

    return work


def _cells(name: str, column: pa.ChunkedArray) -> list[Any]:
    return [*pictures(column)] if name == IMAGE else column.to_pylist()


def _text(reason: object) -> str | None:
    return None if reason is None else str(reason)


def _check_columns(given: Mapping[str, Any], gives: list[str], rows: int) -> None:
    """Raises ValueError if columns are missing, are not declared, or do not have one value per
    row.
    """
    wrong = [f"no {name}" for name in gives if name not in given]
    wrong += [f"{name}, which it does not name" for name in given.keys() - {*gives, FAILED_REASON}]
    wrong += [f"{len(v)} values of {name}" for name, v in given.items() if len(v) != rows]
    if wrong:
        raise ValueError(f"the class gave {', '.join(wrong)} for {rows} rows")


def _good(
    name: str, values: list[Any], reasons: list[str | None], wanted: Pictures
) -> tuple[list[Any], list[str | None]]:
    """The values of a column that later stages need, and why rows without one fail."""
    problem = partial(_picture_problem, wanted) if name == IMAGE else _prompt_problem
    why = [one or problem(value) for one, value in zip(reasons, values, strict=True)]
    kept = [None if w else value for w, value in zip(why, values, strict=True)]
    return [pixels(v) if name == IMAGE and v is not None else v for v in kept], why


def _picture_problem(wanted: Pictures, value: object) -> str | None:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 4:
        return "the class gave no pictures: uint8 (n, height, width, 3)"
    if value.shape[0] != wanted.each or value.shape[3] != 3 or 0 in value.shape:
        return f"the class gave {value.shape} for {wanted.each} pictures of 3 channels"
    if max(value.shape[1:3]) > wanted.most:
        return (
            f"the class gave {value.shape[2]}x{value.shape[1]} pixels, and sink.image_format "
            f"holds {wanted.most:g} at most"
        )
    return None


def _prompt_problem(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "the class gave no prompt"
