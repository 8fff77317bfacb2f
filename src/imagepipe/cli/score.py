"""`imagepipe score RUN_OR_FOLDER scorer=...`: scores existing pictures, and draws none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from imagepipe.cli import commands
from imagepipe.cli.composing import composed
from imagepipe.cli.messages import plainly
from imagepipe.errors import UserError
from imagepipe.sink.naming import file_stem

# The keys that mean something where nothing is drawn.
KEYS = ("scorer", "resources", "tracking", "ray", "outputs", "verbose", "sink.gallery_images")


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 it is scored, 1 that broke, 2 what was typed is wrong, 130 interrupted."""
    parser = commands.parser("score")
    parser.add_argument(
        "pictures", help="a run's folder, a folder of pictures, or a table with paths or bytes"
    )
    parser.add_argument("overrides", nargs="*", help="settings, such as scorer=clip")
    parser.add_argument("--prompt", help="column with the prompts; default prompt or base_prompt")
    parser.add_argument(
        "--image",
        help="for a table: column with paths or bytes of pictures; default image or image_path",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the results, unless PICTURES is a run; default outputs/scores/...",
    )
    parser.add_argument("--config-dir", help="a folder with presets of your own")
    asked = parser.parse_intermixed_args(arguments)
    for text in asked.overrides:
        _check_key(text)
    if not any(text.lstrip("+").startswith("scorer=") for text in asked.overrides):
        raise UserError(
            field="scorer",
            value="auto",
            problem="depends on the model that draws, and none draws here",
            remedy="Choose one, or a list: scorer=clip, 'scorer=[clip,pickscore]'",
        )
    config = composed(asked.overrides, asked.config_dir)
    if not Path(asked.pictures).expanduser().exists():
        raise UserError(
            field="score",
            value=asked.pictures,
            problem="does not exist",
            remedy="Name a run's folder, a folder of pictures, or a table.",
        )
    from imagepipe.execution.rescore import score  # heavy: not before all that is known
    from imagepipe.sources.pictures import Existing

    existing = Existing(asked.pictures, asked.prompt, asked.image)
    out = asked.out or Path(
        config.outputs, "scores", folder_name(asked.pictures, asked.prompt, asked.image)
    )
    score(config, asked.pictures, out.absolute(), existing)
    return 0


def folder_name(pictures: str, prompt: str | None = None, image: str | None = None) -> str:
    """The same name for the same pictures, so that the same command resumes."""
    place = Path(pictures).expanduser().absolute()
    said = repr((str(place), prompt, image))
    return f"{file_stem(place.stem)}-{blake2b(said.encode(), digest_size=4).hexdigest()}"


def _check_key(text: str) -> None:
    key = text.lstrip("+~").partition("=")[0]
    if key.startswith(("hydra.", *(f"{name}." for name in KEYS))) or key in KEYS:
        return
    raise UserError(
        field=key,
        value=text.partition("=")[2],
        problem="has no effect on existing pictures",
        remedy=f"Keys here: {', '.join(KEYS)}",
    )


if __name__ == "__main__":
    sys.exit(main())
