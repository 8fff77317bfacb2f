"""What a person can type again: commands, and values as Hydra's grammar and a shell take them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def resume_command(folder: Path) -> str:
    """What to type to go on with the run in `folder`, as short as it can be typed from here."""
    return f"{python()} -m imagepipe resume={_for_shell(_short(folder))}"


def python() -> str:
    """This interpreter, as short as it can be typed from the current folder."""
    return shlex.quote(str(_short(Path(sys.executable))))


def quoted(text: str) -> str:
    """`text` as a value in Hydra's grammar."""
    from hydra.core.override_parser.types import Quote, QuotedString  # of the command alone

    return QuotedString(text, Quote.single).with_quotes()


def _short(path: Path) -> Path:
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _for_shell(path: Path) -> str:
    """What Hydra's grammar would not take bare needs quotes of its own."""
    text = str(path)
    plain = all(sign.isalnum() or sign in "/._-+:%@" for sign in text)
    return text if plain else shlex.quote(quoted(text))
