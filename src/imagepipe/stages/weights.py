"""Where a model's weights are: in the package, in a local folder, or on the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imagepipe.assets import folder
from imagepipe.errors import UserError, one_line, with_class
from imagepipe.stages import hub, kinds

WEIGHTS = "model.safetensors"  # of a transformers model
SHARDS = f"{WEIGHTS}.index.json"  # says which files hold them, where there are several
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # owner/name


def locate(path: str) -> Path | str:
    """The local folder, or the hub id if the text looks like one and is no folder here."""
    where = folder(path)
    local = Path(where).expanduser()
    if isinstance(where, Path) or local.exists() or not HUB_ID.fullmatch(where):
        return local
    return where


def is_file(path: str | None) -> bool:
    """Whether a model's path is a single file of any kind."""
    where = locate(path) if path else None
    return isinstance(where, Path) and where.is_file()


def here(path: str, revision: str | None = None) -> Path | None:
    """A model's local folder, or its folder in the hub's cache; null: in neither."""
    where = locate(path)
    if isinstance(where, Path):
        return where
    found = file_here(path, "config.json", revision)
    return found and found.parent


def file_here(path: str, file: str, revision: str | None = None) -> Path | None:
    """A file of a model, in its local folder or in the hub's cache; null: in neither."""
    where = locate(path)
    if isinstance(where, Path):
        return where / file if (where / file).is_file() else None
    from huggingface_hub import try_to_load_from_cache  # a tenth of a second

    cached = try_to_load_from_cache(where, file, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def size_gb(path: str | None, revision: str | None = None) -> float | None:
    """GB (1e9 bytes) of safetensors in a local folder or in the hub's cache; null: in neither."""
    where = here(path, revision) if path else None
    if where is None:
        return None
    files = [where] if where.is_file() else where.rglob("*.safetensors")
    return sum(file.stat().st_size for file in files) / 1e9 or None


def dtype(name: str, device: str) -> Any:
    """The torch dtype with the name that `dtype_name` returns."""
    import torch

    return getattr(torch, dtype_name(name, device))


def dtype_name(name: str, device: str) -> str:
    """`name`; "auto" is float16 on a GPU and float32 on a CPU, where half precision is slow."""
    automatic = "float16" if device == "cuda" else "float32"
    return automatic if name == "auto" else name


def check(field: str, path: str | None, revision: str | None, index: str) -> Path | str:
    """`locate(path)`, after a check that a model is there: `index` is the file that every model
    has.

    Raises UserError if a folder lacks that file, or if a hub model is neither in the cache nor
    given by the hub.
    """
    path = check_path(field, path)
    _files(field, path, revision, index)
    return locate(path)


def check_safe(field: str, path: str | None, revision: str | None) -> None:
    """Like `check`, for a transformers model. Also raises UserError if a folder's config.json is
    broken, or weights are missing or only pickled.
    """
    path = check_path(field, path)
    files = _files(field, path, revision, "config.json", weights=True)
    pickles = sorted(file for file in files if file.endswith(kinds.PICKLED))
    if pickles and not any(file.endswith(kinds.SAFE) for file in files):
        raise UserError(
            field=field,
            value=path,
            problem=f"has only pickled weights ({pickles[0]}), and a pickle can run any code when "
            "it is read",
            remedy="Use a model with .safetensors weights.",
        )


def check_code(field: str, path: str | None, revision: str | None) -> None:
    """Raises UserError if only Python code that comes with the model could load it.

    Many models bring such code although transformers has a class for them; then that class is used.
    """
    path = check_path(field, path)
    config = described(field, path, _config(field, path, revision))
    if "auto_map" not in config:
        return
    from transformers import CONFIG_MAPPING

    if config.get("model_type") not in CONFIG_MAPPING:
        raise UserError(
            field=field,
            value=path,
            problem="contains Python code of its own, which would run here",
            remedy="Name a model that transformers has a class for.",
        )


def _config(field: str, path: str, revision: str | None) -> Path:
    """The file that describes the model; downloaded from the hub if it is not cached."""
    where = locate(path)
    if isinstance(where, Path):
        return where / "config.json"
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(where, "config.json", revision=revision))
    except Exception as error:  # whatever the reason, the hub does not give it
        raise hub.refused(field, where, revision, error) from error


def check_path(field: str, path: str | None) -> str:
    """Raises UserError if an engine that needs a model names none."""
    if not path:
        raise UserError(
            field=field,
            value=path,
            problem="this engine needs a model",
            remedy="Name a local folder, or a model of the hub as owner/name.",
        )
    return path


def _files(
    field: str, path: str, revision: str | None, index: str, weights: bool = False
) -> list[str]:
    """The names of a model's files, which must include `index`.

    The hub's cache may hold only some of them; it is used if it has what is needed: `index`, and
    weights if the model has any.
    """
    where = locate(path)
    if isinstance(where, str):
        return _hub_files(field, where, revision, index, weights)
    if not (where / index).is_file():
        raise _no_model(field, path, where, index)
    lacking = _lacking(field, path, where) if weights else None
    other = kinds.other_weights(where) if lacking == WEIGHTS else None
    if lacking:
        raise UserError(
            field=field,
            value=path,
            problem=other[0]
            if other
            else f"its weights are incomplete ({where / lacking} does not exist)",
            remedy=other[1] if other else "Use a complete model.",
        )
    if weights:
        described(field, path, where / index)
        for file in where.glob("*.safetensors"):
            if kinds.is_pointer(file):
                raise broken(field, path, file, "a pointer of Git LFS")
    return [file.name for file in where.iterdir()]


def _no_model(field: str, path: str, where: Path, index: str) -> UserError:
    lacking = where / index if where.exists() else where
    nothing = (
        f"no model is there ({lacking} does not exist)",
        "Name a folder that holds one, or a model of the hub as owner/name.",
    )
    problem, remedy = kinds.told(where) or nothing
    return UserError(field=field, value=path, problem=problem, remedy=remedy)


def _lacking(field: str, path: str, where: Path) -> str | None:
    """The first file of a transformers model's weights that the folder `where` lacks.

    If there is none with a usual name, weights with any name count, also pickled ones.
    """
    if (where / WEIGHTS).is_file():
        return None
    if (where / SHARDS).is_file():
        listed = shards(field, path, where / SHARDS)
        return min((name for name in listed if not (where / name).is_file()), default=None)
    named = (file for file in where.iterdir() if file.name.endswith((kinds.SAFE, *kinds.PICKLED)))
    return None if any(file.is_file() for file in named) else WEIGHTS


def shards(field: str, path: object, index: Path) -> set[str]:
    """The names of the weight files that `index` lists."""
    return set(described(field, path, index).get("weight_map", {}).values())


def described(field: str, path: object, file: Path) -> dict[str, Any]:
    """The content of a model's JSON file. Raises UserError if it is no JSON object."""
    try:
        said = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise broken(field, path, file, one_line(error)) from error
    if not isinstance(said, dict):
        raise broken(field, path, file, "it is not a JSON object")
    return said


def broken(field: str, path: object, file: Path, cause: str) -> UserError:
    """The error for a model's `file` that is not what it should be."""
    if file.is_file() and kinds.is_pointer(file):
        return UserError(
            field=field,
            value=path,
            problem=f"{file} is a pointer of Git LFS, and not the file",
            remedy=kinds.POINTED,
        )
    return UserError(
        field=field,
        value=path,
        problem=f"{file} is broken ({cause})",
        remedy="Fetch or save the model again, or name another.",
    )


@contextmanager
def readable(field: str, path: object, where: Path | str) -> Iterator[None]:
    """Turns every exception of a library that reads the model in `where` into UserError.

    Files with unexpected content make it fail anywhere. OSError passes, since a cache may be
    incomplete.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        raise UserError(
            field=field,
            value=path,
            problem=f"{where} cannot be used ({with_class(error).rstrip('.')})",
            remedy="Correct that, fetch or save the model again, or name another.",
        ) from error


def _hub_files(field: str, name: str, revision: str | None, index: str, weights: bool) -> list[str]:
    from huggingface_hub import HfApi, try_to_load_from_cache

    cached = try_to_load_from_cache(name, index, revision=revision)
    if isinstance(cached, str):
        where = Path(cached).parent
        if not (weights and _lacking(field, name, where)):
            return [file.name for file in where.iterdir()]
    try:
        info = HfApi().model_info(name, revision=revision, timeout=5)
        if info.gated:  # what it holds is told to all, its files are not given to all
            HfApi().auth_check(name)
    except Exception as error:  # whatever the reason, the hub does not give it
        raise hub.refused(field, name, revision, error) from error
    return [file.rfilename for file in info.siblings or []]
