"""The input pictures of a picture that is drawn again; the user names their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagepipe.config import Model
from imagepipe.errors import UserError


def files(
    path: Path, named: Sequence[str], texts: Mapping[str, str], model: Model
) -> dict[str, Path]:
    """The files of the input pictures of the picture in `path`, by keys of `model.columns`;
    `named` are such as image=photo.jpg, `texts` the picture's metadata.

    Raises UserError if a file is not named, or has another content now.
    """
    from imagepipe.diffusion import inputs

    found = dict(one.partition("=")[::2] for one in named)
    for key in model.pictures:
        was = texts.get(inputs.TEXT.format(key))
        if key not in found:
            raise UserError(
                field="IMAGE",
                value=path,
                problem=f"was drawn from an input picture, {key} (SHA-256 of its file: {was})",
                remedy=f"Name the file: --picture {key}=FILE.",
            )
        try:
            now = inputs.digest(Path(found[key]).read_bytes())
        except OSError as error:
            raise _other(key, found[key], f"cannot be read ({error.strerror})") from error
        if now != was:
            raise _other(key, found[key], f"is another file: its SHA-256 is {now}, not {was}")
    for key in found.keys() - model.pictures.keys():
        raise _other(key, found[key], "is not among its input pictures")
    return {key: Path(file) for key, file in found.items()}


def _other(key: str, file: str, problem: str) -> UserError:
    return UserError(
        field="--picture",
        value=f"{key}={file}",
        problem=problem,
        remedy="Name the file that the picture was drawn from.",
    )


def read(found: Mapping[str, Path], model: Model) -> dict[str, Any]:
    """The arguments about input pictures for `ImageGenerator.paint`; empty without any."""
    from imagepipe.diffusion import fitting, inputs

    def going_in(file: Path) -> Any:
        return fitting.pixels(inputs.fitted(file.read_bytes(), model))

    one = {key: going_in(file) for key, file in found.items()}
    return {"pictures": [one]} if one else {}
