"""Errors about keys of the section `model`."""

from __future__ import annotations

import os
from pathlib import Path

from imagepipe.config import Model
from imagepipe.errors import UserError, one_line
from imagepipe.stages import hub, weights


def refused(field: str, value: object, problem: str, remedy: str) -> UserError:
    """The error for `model.<field>`."""
    return UserError(field=f"model.{field}", value=value, problem=problem, remedy=remedy)


def found(field: str, path: str) -> str:
    """The local path or the hub id. Raises UserError if a path is neither, or may not be read."""
    where = weights.locate(path)
    if isinstance(where, Path) and not where.exists():
        raise refused(
            field, path, "there is no such file or folder", "Name one, or a model of the hub."
        )
    if isinstance(where, Path) and not os.access(where, os.R_OK):  # safetensors finds none there
        raise refused(
            field, path, "may not be read", "Allow it, as with chmod -R u+rX, or name another."
        )
    return str(where)


def unusable(field: str, path: str, revision: str | None, error: Exception) -> UserError:
    if isinstance(weights.locate(path), Path):
        return refused(field, path, f"cannot be used ({one_line(error)})", "Name another.")
    return hub.refused(f"model.{field}", path, revision, error)


def no_variant(model: Model, what: str) -> UserError:
    return UserError(
        field="model.variant",
        value=model.variant,
        problem=f"{what} has no weights of that variant",
        remedy="Set it to null.",
    )


def only_pickles(model: Model, what: str) -> UserError:
    return UserError(
        field="model.use_safetensors",
        value=model.use_safetensors,
        problem=f"{what} has only pickled weights, and a pickle can run any code when it is read",
        remedy="Set model.use_safetensors=false if you trust who made it.",
    )


def brings_code(model: Model) -> UserError:
    return UserError(
        field="model.trust_remote_code",
        value=model.trust_remote_code,
        problem=f"{model.path} contains Python code of its own, which would run here",
        remedy="Set model.trust_remote_code=true if you have read that code and trust it.",
    )
