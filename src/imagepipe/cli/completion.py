"""Shell completion: commands here; groups, choices and keys by Hydra's own completion.

Hydra's shell script runs `imagepipe -sc query=SHELL`, with the line so far in COMP_LINE.
"""

from __future__ import annotations

import os
import sys

from imagepipe.cli.commands import COMMANDS

LINE = "COMP_LINE"


def prepare() -> None:
    """Print the commands that fit, and let Hydra see the line as if no command were typed.

    For a command without groups and keys Hydra has nothing to complete, so this exits.
    """
    sys.argv[0] = "imagepipe"  # what a shell's script is for, also where it is asked for by -m
    app, _, typed = os.environ.get(LINE, "").lstrip().partition(" ")
    word, space, rest = typed.lstrip().partition(" ")
    if not space:
        fitting = [name for name in COMMANDS if name.startswith(word)] if app else []
        print(*fitting, sep="\n", end="\n" if fitting else "")
    elif word in COMMANDS:
        if not COMMANDS[word].composes:
            sys.exit()
        os.environ[LINE] = f"{app} {rest}"
