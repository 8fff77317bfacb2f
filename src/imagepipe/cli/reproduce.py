"""`imagepipe reproduce IMAGE.png`: draws a picture again, and says if the result is the same.

The picture's file has all it needs: the prompt, the seed and the settings of the model. If a
model has another path on this machine, give it after the picture: `model.path=FOLDER`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from imagepipe import __version__
from imagepipe import config as configuration
from imagepipe.cli import commands, given_pictures, own_stages
from imagepipe.cli.messages import plainly
from imagepipe.config import Model
from imagepipe.errors import UserError, one_line, with_class
from imagepipe.sink.metadata import SETTINGS, STAGES
from imagepipe.stages import engines

SAME = 2  # grey levels of 255 that another batch may change on a CPU: tests/execution/test_run.py


@dataclass(frozen=True)
class Drawn:
    """A picture, uint8 (height, width, 3), and its metadata."""

    path: Path
    image: np.ndarray
    texts: dict[str, str]  # all that are in the picture
    seed: int
    model: Model
    pictures: dict[str, Path]  # those that went in, by keys of `model.columns`


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 it is the same, 1 it differs, 2 it cannot be drawn again."""
    parser = commands.parser("reproduce", __doc__)
    parser.add_argument("image", type=Path, help="a PNG file that imagepipe wrote")
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="model.KEY=VALUE",
        help="settings that differ on this machine, such as model.path=FOLDER, "
        "model.loras.0.path=FILE or model.offload=model",
    )
    parser.add_argument(
        "--picture",
        action="append",
        default=[],
        metavar="KEY=FILE",
        help="an input picture, such as image=photo.jpg; must be the same file as before",
    )
    parser.add_argument("--out", type=Path, help="save the new picture in this file")
    levels = f"largest difference that counts as the same, in grey levels of 255; default {SAME}"
    parser.add_argument("--levels", type=int, default=SAME, help=levels)
    parser.add_argument(
        "--trust", action="store_true", help="allow the picture to name code and pickled weights"
    )
    asked = parser.parse_intermixed_args(arguments)
    drawn = read(asked.image, asked.changes, asked.picture, trust=asked.trust)
    if asked.out:
        _check_out(asked.out, drawn)
    now = again(drawn)
    if asked.out:
        _write(now, asked.out, drawn)
    most, values = difference(drawn.image, now)
    print(f"{asked.image}: {_verdict(most, values, asked.levels, drawn)}")
    return 0 if most <= asked.levels else 1


def read(
    path: Path, changes: Sequence[str] = (), pictures: Sequence[str] = (), *, trust: bool = False
) -> Drawn:
    """The picture in `path` and what it says of itself, but for `changes` such as model.steps=2.
    `pictures` name the files of those that went in: image=photo.jpg.

    Raises UserError if there is none, where it does not say enough, and unless `trust` where
    its settings would run code that comes with the model. Whoever made the file wrote them.
    """
    image, texts = _open(path)
    lacking = [name for name in ("prompt", "seed", SETTINGS) if name not in texts]
    if lacking:
        raise _refused(
            path,
            f"does not say how it was drawn: it lacks {', '.join(lacking)}",
            "Use a picture as imagepipe wrote it. Pictures of older versions and of custom engines "
            "lack some of it.",
        )
    try:
        seed, model = _seed(texts["seed"]), _model(json.loads(texts[SETTINGS]), changes)
        configuration.check_model(model)
    except (TypeError, ValueError, AttributeError, OmegaConfBaseException) as error:
        raise _refused(
            path,
            f"has settings that cannot be read ({_with_key(error)})",
            "Use a picture as imagepipe wrote it, and the same version: it says "
            f"{texts.get('imagepipe_version', 'none')}, and this is {__version__}.",
        ) from error
    if not trust:
        _check_harmless(path, model)
    own_stages.check(path, texts, trust=trust)
    if STAGES not in texts and image.shape != (model.height, model.width, 3):
        raise _refused(
            path,
            f"is of {image.shape[1]}x{image.shape[0]} pixels, and was drawn as "
            f"{model.width}x{model.height}",
            "Use the picture as it was drawn.",
        )
    return Drawn(
        path, image, texts, seed, model, given_pictures.files(path, pictures, texts, model)
    )


def again(drawn: Drawn) -> np.ndarray:
    """The picture that the same prompt, seed and settings give here: uint8 (height, width, 3).

    Raises UserError if the model is unavailable, or cannot draw with these settings here.
    """
    from rich.console import Console

    from imagepipe import diffusion
    from imagepipe.reports import terminal

    terminal.print_first(Console(stderr=True), drawn.model)
    try:
        diffusion.check(drawn.model)
        generator = diffusion.make(drawn.model)
        generator.load()
        found = generator.paint(
            [drawn.texts["prompt"]],
            [drawn.seed],
            **given_pictures.read(drawn.pictures, drawn.model),
        )
        painted = diffusion.painted(found)
        if painted.reasons[0]:
            raise ValueError(painted.reasons[0])
        now = own_stages.changed(drawn.texts, painted.images[0])
        if now.shape != drawn.image.shape:
            raise ValueError(f"it drew {now.shape}, not {drawn.image.shape}")
        return now
    except UserError:
        raise
    except Exception as error:  # whatever a model raises that does not take what a picture says
        raise _refused(
            drawn.path,
            f"cannot be drawn again here ({with_class(error)})",
            "If a setting does not fit this machine, give another one after the picture, such as "
            "model.offload=model.",
        ) from error


def difference(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """The largest difference of two pictures of one shape in grey levels, and the number of
    differing values.
    """
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16))
    return int(apart.max()), int(np.count_nonzero(apart))


def _open(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as picture:
            kind, pixels = picture.format, np.asarray(picture.convert("RGB"))
            texts = dict(getattr(picture, "text", {}))
    except FileNotFoundError:
        raise _refused(path, "is not there", "Name a PNG file that imagepipe wrote.") from None
    except Exception as error:  # whatever Pillow raises for a file that is broken
        raise _refused(
            path,
            f"is not a PNG that can be read ({error})",
            "Name a PNG file that imagepipe wrote.",
        ) from error
    if kind != "PNG":
        raise _refused(
            path,
            f"is a {kind}, which changes pixels a little",
            "Use a picture of a run with sink.image_format=png.",
        )
    return pixels, texts


def _seed(said: str) -> int:
    seed = int(said)
    if not 0 <= seed < 1 << 63:  # prompts.row_seed
        raise ValueError(f"a seed has 63 bits, not {seed}")
    return seed


def _model(said: Any, changes: Sequence[str]) -> Model:
    # Whoever made the file would choose who gets a key.
    own = {key: value for key, value in said.items() if key not in ("base_url", "api_key_env")}
    whole = OmegaConf.merge(OmegaConf.structured(Model), own)
    for change in changes:
        _change(whole, change)
    # Nothing is resolved: a picture has no business with what is in the environment.
    made = configuration.built(Model, OmegaConf.to_container(whole))
    assert isinstance(made, Model)
    return made


def _change(whole: Any, change: str) -> None:
    key, _, value = change.partition("=")
    try:
        typed = OverridesParser.create().parse_override(change)
        OmegaConf.update(whole, key.removeprefix("model."), typed.value())
    except (HydraException, OmegaConfBaseException, LookupError) as error:
        raise UserError(
            field=key,
            value=value,
            problem=f"is not a setting of the model ({_with_key(error)})",
            remedy="Give one as imagepipe takes it, such as model.path=FOLDER.",
        ) from error


def _with_key(error: Exception) -> str:
    key = getattr(error, "full_key", None)  # OmegaConf's
    return f"{key}: {one_line(error)}" if key else one_line(error)


def _check_harmless(path: Path, model: Model) -> None:
    asked = {
        "engine=custom": engines.of("model", model).is_custom,
        "trust_remote_code=true": model.trust_remote_code,
        "use_safetensors=false": not model.use_safetensors,
    }
    for setting, is_asked in asked.items():
        if is_asked:
            raise _refused(
                path,
                f"was drawn with model.{setting}, which can run any code",
                "Add --trust if the picture is your own.",
            )


def _check_out(out: Path, drawn: Drawn) -> None:
    if out.exists() and out.samefile(drawn.path):
        raise _no_place(out, "is the picture itself, which would be overwritten")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise _no_place(out, "cannot be written")


def _write(image: np.ndarray, out: Path, drawn: Drawn) -> None:
    """With the metadata of the picture, so that it can be drawn again, too."""
    from imagepipe.sink import metadata
    from imagepipe.sink.encoding import encode
    from imagepipe.store import write_whole

    texts = {**drawn.texts, **metadata.model_metadata(drawn.model)}
    said = {name: text for name, text in texts.items() if text is not None}
    said["parameters"] = metadata.parameters(said["prompt"], drawn.seed, said)
    try:
        write_whole(out, encode(image, said))
    except OSError as error:
        raise _no_place(out, f"cannot be written ({error})") from error


def _no_place(out: Path, problem: str) -> UserError:
    return UserError(
        field="--out",
        value=out,
        problem=problem,
        remedy="Name another file, in an existing folder.",
    )


def _verdict(most: int, values: int, levels: int, drawn: Drawn) -> str:
    if most == 0:
        return "drawn again, the same to the last bit"
    told = f"{values:,} of {drawn.image.size:,} values by up to {most} of 255 levels"
    if most <= levels:
        return f"drawn again, the same but for {told}"
    version = drawn.texts.get("imagepipe_version", "?")
    return (
        f"drawn again, and it differs: {told}. It was drawn by imagepipe {version}, and this is "
        f"{__version__}. Other weights, libraries or devices draw other pictures; --out=FILE keeps "
        "what was drawn now, --levels allows more"
    )


def _refused(path: Path, problem: str, remedy: str) -> UserError:
    return UserError(field="IMAGE", value=path, problem=problem, remedy=remedy)


if __name__ == "__main__":
    sys.exit(main())
