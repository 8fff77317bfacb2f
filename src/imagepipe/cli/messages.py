"""How a command reports errors: one plain line and an exit code."""

from __future__ import annotations

import argparse
import errno
import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from imagepipe import config as configuration
from imagepipe.cli.kinds import of_another_kind
from imagepipe.errors import (
    VALUE_BYTES,
    RunFailed,
    UserError,
    did_you_mean,
    listed,
    one_line,
    shown,
)

# Signs that Hydra's grammar takes without quotes, beside letters and digits of ASCII:
# https://hydra.cc/docs/advanced/override_grammar/basic, "Primitives".
BARE = frozenset(" /-\\+.$%*@?|:=_~")
# What Hydra and its readers raise for settings and files that people write.
COMPOSING = (HydraException, OmegaConfBaseException, YAMLError)
FULL = (errno.ENOSPC, errno.EDQUOT)
DEPTHS = ("*.yaml", "*/*.yaml", "*/*/*.yaml")  # where presets lie in their folder
OF_HYDRA = re.compile(r"[+~]*hydra[./]|--?s")  # also --shell-completion
OF_FUNCTION = re.compile(r"(bool|choice|float|glob|int|interval|range|shuffle|sort|str|tag)\(")
SEVERAL = re.compile(r"(?:Sweep parameters|Ambiguous value for argument) '(.+?)'(?: requires|\n|$)")
IN_FILE = re.compile(r"In '([^']+)': \w+ raised while composing config:\n(.*)")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors that users can cause into one line and an exit code."""
    try:
        yield
    except (UserError, *COMPOSING) as error:
        fail(explain(error), 2)
    except UnicodeDecodeError as error:
        if (file := _undecoded(error, sys.argv[1:])) is None:
            raise
        fail(f"{file}: is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.", 2)
    except RunFailed as error:
        fail(str(error), 1)
    except KeyboardInterrupt as error:
        fail(str(error) or "interrupted", 130)
    except OSError as error:
        if error.errno in FULL:
            where = f"{shown(error.filename, VALUE_BYTES)}: " if error.filename else ""
            why = os.strerror(error.errno)
            fail(f"{where}{why}. Make room on that disk, and type the command again.", 1)
        if isinstance(error, PermissionError) and error.filename:
            name = shown(error.filename, VALUE_BYTES)
            fail(f"{name}: may not be used ({error.strerror}). Allow it, or name another.", 2)
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = shown(error.filename, VALUE_BYTES)
        fail(f"{name}: is too long for the name of a file or a folder.", 2)


def plainly(main: Callable[[Sequence[str] | None], int]) -> Callable[..., int]:
    """Make a command's `main` return an exit code also for errors that users can cause."""

    @functools.wraps(main)
    def told(arguments: Sequence[str] | None = None) -> int:
        try:
            with plain_errors():
                return main(arguments)
        except SystemExit as end:
            return int(end.code or 0)

    return told


def fail(message: str, code: int) -> NoReturn:
    print(f"imagepipe: {shown(message)}", file=sys.stderr)
    sys.exit(code)


def refuse_typed(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """`ArgumentParser.error` as one plain line; `message` may be long or hold control
    characters.
    """
    command = parser.prog if parser.prog.startswith("imagepipe ") else "imagepipe"
    fail(f"{shown(message, VALUE_BYTES)}. See {command} --help.", 2)


def fail_as_hydras(error: BaseException, kind: type[Exception] = Exception) -> None:
    """Fail in a line if `error`, before a run, comes of Hydra's own keys or its completion, which
    end it in whatever way; without such only if it is of `kind`.
    """
    of_hydra = any(OF_HYDRA.match(text) for text in sys.argv[1:])
    if isinstance(error, Exception if of_hydra else kind):
        fail(f"{shlex.join(sys.argv[1:])}: Hydra cannot use that: {one_line(error, 500)}", 2)


def explain(error: Exception) -> str:
    """The message for the user about `error`: field, value, and a guess at what was meant."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        options = error.options or ()  # there are none for a choice out of several in a list
        guess = did_you_mean(choice, options)
        more = f"Choose one of: {listed(options, choice)}." if options else ""
        if other := _of_other_ending(str(error), error.missing_cfg_file):
            return f"{group}={choice}: is not read from {other}, for Hydra reads .yaml. Rename it."
        said = f"{group or '--config-name'}={choice}: there is no such choice. {guess}{more}"
        return said.rstrip()
    if isinstance(error, OverrideParseException):
        return _of_grammar(error)
    if isinstance(error, YAMLError):
        return _of_yaml(error)
    return _of_composing(error)


def _of_other_ending(told: str, name: str) -> str | None:
    """A file in Hydra's folders that is called `name` but has another extension."""
    folders = re.findall(r"path=file://(.+)", told)
    files = [Path(folder, f"{name}.yml") for folder in folders]
    return next((str(file) for file in files if file.is_file()), None)


def _undecoded(error: UnicodeDecodeError, typed: Sequence[str]) -> Path | None:
    """The preset, in a folder that was typed, whose bytes are no text."""
    folders = [Path(text.rpartition("=")[2]) for text in typed]
    files = (file for folder in folders for depth in DEPTHS for file in folder.glob(depth))
    return next((one for one in files if one.is_file() and error.object in one.read_bytes()), None)


def _of_yaml(error: YAMLError) -> str:
    """The file, the place in it, and what is wrong there."""
    mark = getattr(error, "problem_mark", None)
    file, said = getattr(mark or error, "name", "a preset"), one_line(error)
    if mark:
        said = f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', said)}"
    return f"{file}: is no YAML that can be read ({said}). Correct it there."


def _of_grammar(error: OverrideParseException) -> str:
    """The message for an argument that Hydra's grammar does not accept: the character, and what
    to type; of one of its functions what that says.
    """
    typed = error.override
    key, equals, value = typed.partition("=")
    if OF_FUNCTION.match(value) and error.__cause__:
        return (
            f"{typed}: Hydra cannot use that ({one_line(error.__cause__)}). "
            f"Correct it, or write text in quotes twice: '{key}=\"...\"'."
        )
    sign = next(
        (one for one in value if not (one in BARE or (one.isascii() and one.isalnum()))), ""
    )
    if not (key and equals and sign):
        return (
            f"{typed or repr(typed)}: is not a setting. Write KEY=VALUE, and a value with braces, "
            "commas or quotes in quotes twice: 'KEY=\"VALUE\"'."
        )
    quoted = QuotedString(value, Quote.double).with_quotes()
    return (
        f"{typed}: has a {sign} in its value, which Hydra accepts only in quotes. "
        f"Write {shlex.quote(f'{key}={quoted}')}"
    )


def _of_composing(error: Exception) -> str:
    text = f"{error}\n{error.__cause__ or ''}"
    places = (r"full_key: (\S+)", r"(?:override|already at) '([^']+)'", r"not delete .*?'([^']+)'")
    key = next((found[1] for place in places if (found := re.search(place, text))), "")
    return _of_key(key, text) or _of_value(error, key)


def _of_key(key: str, text: str) -> str | None:
    """What is wrong with a key, or with how much it holds; null: neither."""
    if several := SEVERAL.search(text):
        return (
            f"{several[1]}: holds several values. Add -m for a job with each; a list is "
            "KEY=[a,b], and a comma in a text needs quotes twice: 'KEY=\"a,b\"'."
        )
    known = set(configuration.keys(OmegaConf.structured(configuration.Config)))
    if "already at" in text:
        return f"{key}: is set already. Leave the plus out: {key}=..."
    if key in known and re.search("not delete|support deletion", text):
        return f"~{key}: a key cannot be removed. Give it a value, such as {key}=null."
    if key.endswith(".True"):
        return f'{key}: YAML reads a bare `on:` as true. Write it in quotes: "on": ...'
    if re.search(r"Key '\S+' (is )?not in|Could not (override|delete)", text):
        guess = did_you_mean(key, known).strip()
        return f"{key}: there is no such key. {guess or 'See python -m imagepipe --help.'}"
    return None


def _of_value(error: Exception, key: str) -> str:
    cause = error.__cause__ or error
    said = getattr(cause, "msg", None) or str(cause) or type(cause).__name__
    name = None
    if in_file := IN_FILE.match(said):
        name, said = in_file.groups()
    file = f"{name}.yaml" if name else None
    if key and (told := of_another_kind(error, key.partition("=")[0], said, file)):
        return told
    if file:
        return f"{key or name}: {said} (in {file})"
    if isinstance(error, InstantiationException):
        return f"{key}: Hydra cannot make it of its settings ({one_line(said)}). Correct these."
    return f"{key}: {said.splitlines()[0]}" if key else str(error)
