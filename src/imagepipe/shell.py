"""Commands and values that the user can type again, quoted for Hydra's grammar and the shell."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_stands_in: list[Path] = []  # where the user does, if that is not the current folder


def change_folder(folder: Path) -> None:
    """Make `folder` the current one. What is printed is still typed where the user stands."""
    _stands_in[:] = [stands_in()]
    os.chdir(folder)


@contextmanager
def coming_back() -> Iterator[None]:
    """Whatever `change_folder` does within it, this process then stands where it stood."""
    here, before = Path.cwd(), [*_stands_in]
    try:
        yield
    finally:
        _stands_in[:] = before
        os.chdir(here)


def stands_in() -> Path:
    """The folder in which the user typed the command."""
    return _stands_in[0] if _stands_in else Path.cwd()


def resume_command(folder: Path) -> str:
    """The command that resumes the run in `folder`, as short as the user can type it."""
    return f"{python()} -m imagepipe resume={_for_shell(typed_path(folder))}"


def python() -> str:
    """This interpreter, as short as the user can type it."""
    return shlex.quote(str(typed_path(Path(sys.executable))))


def quoted(text: str) -> str:
    """`text` as a value in Hydra's grammar."""
    from hydra.core.override_parser.types import Quote, QuotedString  # of the command alone

    return QuotedString(text, Quote.single).with_quotes()


def typed_path(path: Path) -> Path:
    """`path`, of the current folder, as short as it can be typed where the user stands."""
    path, here = path.absolute(), stands_in()
    shorter = path.is_relative_to(here) and here != Path(here.anchor)
    return path.relative_to(here) if shorter else path


def _for_shell(path: Path) -> str:
    """What Hydra's grammar would not take bare needs quotes of its own."""
    text = str(path)
    plain = all(sign.isalnum() or sign in "/._-+:%@" for sign in text)
    return text if plain else shlex.quote(quoted(text))
