"""The commands, `imagepipe COMMAND ...`: only the module of the one that is typed is loaded."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from dataclasses import dataclass

from imagepipe import __version__
from imagepipe.errors import UserError, did_you_mean, listed


@dataclass(frozen=True)
class Command:
    """`module` has a `main(arguments)` that returns the exit code; `what` is its line of help.

    With `composes` it takes groups and keys as `run` does, so that a shell completes them.
    """

    module: str
    what: str
    composes: bool = False


COMMANDS = {
    "run": Command("imagepipe.cli.run", "draws pictures; the default if no command is given", True),
    "plan": Command("imagepipe.cli.plan", "shows what would run here, without running it", True),
    "ui": Command("imagepipe.cli.ui", "opens MLflow, the gallery of a run, or a comparison"),
    "score": Command("imagepipe.cli.score", "scores existing pictures: a run, a folder, a table"),
    "reproduce": Command("imagepipe.cli.reproduce", "draws a picture again, from its file alone"),
    "doctor": Command("imagepipe.cli.doctor", "checks this machine, and says what to fix", True),
    "fetch": Command("imagepipe.cli.fetch", "downloads the models of a run, to work offline", True),
    "compare": Command("imagepipe.cli.compare", "compares finished runs, side by side"),
    "votes": Command("imagepipe.cli.votes", "adds blind votes to a comparison"),
    "distance": Command(
        "imagepipe.cli.distance", "measures the distance to reference pictures (FID, ...)"
    ),
    "track": Command(
        "imagepipe.tracking.__main__", "sends a run to MLflow later, if the server was away"
    ),
}
VERSION = ("--version", "-V")
COMPLETION = ("--shell-completion", "-sc")


def main() -> None:
    """Run what was typed. Exit codes: 0 all is well, 1 it failed or differs, 2 what was typed is
    wrong, 130 interrupted."""
    try:
        code = _told()
    except KeyboardInterrupt:  # while the modules load that tell of it
        print("imagepipe: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def _told() -> int | None:
    from imagepipe.cli.messages import plain_errors, refuse_typed
    from imagepipe.cli.printing import print_whatever_happens

    print_whatever_happens()
    # Of the class, since Hydra's own parser is one too: they repeat what was typed as it is.
    setattr(argparse.ArgumentParser, "error", refuse_typed)  # noqa: B010
    with plain_errors():
        try:
            return _run()
        finally:
            sys.stdout.flush()  # what cannot be written is an error while it can be told


def _run() -> int | None:
    check_keys(sys.argv[1:])
    name, arguments = split(sys.argv[1:])
    if arguments and arguments[0] in VERSION:
        print(f"imagepipe {__version__}")
        return 0
    if set(arguments) & set(COMPLETION):
        from imagepipe.cli import completion

        completion.prepare()
    check_folder()
    return importlib.import_module(COMMANDS[name].module).main(arguments)


def split(typed: list[str]) -> tuple[str, list[str]]:
    """The command that is meant, and its own arguments. Raises UserError where there is none."""
    if not typed or "=" in typed[0] or typed[0][:1] in ("", "-", "+", "~"):
        return "run", typed
    if typed[0] in COMMANDS:
        return typed[0], typed[1:]
    raise UserError(
        field="command",
        value=typed[0],
        problem="there is no such command",
        remedy=f"{did_you_mean(typed[0], COMMANDS)}Commands: {listed(COMMANDS)}. "
        "A setting is KEY=VALUE",
    )


def check_folder() -> None:
    """Refuse a current folder that was removed while a shell stood in it."""
    try:
        os.getcwd()
    except OSError as error:
        raise UserError(
            field="current folder",
            value=os.environ.get("PWD", "."),
            problem=f"cannot be used ({error.strerror})",
            remedy="It may have been removed or made again: cd into a folder that is there.",
        ) from error


def check_keys(typed: list[str]) -> None:
    """Refuse a setting without a key, for which Hydra has no error of its own."""
    for text in typed:
        key, _, value = text.partition("=")
        if text and not key.lstrip("+~").partition("@")[0]:
            raise UserError(
                field=key, value=value, problem="names no key", remedy="A setting is KEY=VALUE."
            )


def parser(name: str, description: str | None = None) -> argparse.ArgumentParser:
    """What reads the arguments of the command `name`."""
    said = description or COMMANDS[name].what
    return argparse.ArgumentParser(prog=f"imagepipe {name}", description=said)


def run_parser(name: str, overrides: str, json: str) -> argparse.ArgumentParser:
    """As `parser`, of a command that is about a run: `overrides` and `json` say what theirs are."""
    made = parser(name)
    made.add_argument("overrides", nargs="*", help=overrides)
    made.add_argument("--json", action="store_true", help=json)
    made.add_argument("--config-dir", help="a folder with presets of your own")
    return made


def table() -> str:
    """A line a command, for `imagepipe --help`."""
    return "\n".join(f"    {name:<10} {command.what}" for name, command in COMMANDS.items())
