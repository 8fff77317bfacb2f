"""What a shell completes: commands here, groups, choices and keys by Hydra's own completion.

Hydra's script for the shell asks `imagepipe -sc query=SHELL`, the line so far being in COMP_LINE.
"""

from __future__ import annotations

import os
import sys

from imagepipe.cli.commands import COMMANDS

LINE = "COMP_LINE"


def prepare() -> None:
    """Print the commands that fit, and have Hydra see the line as if no command were typed.

    Behind a command that takes no groups and keys there is nothing to ask Hydra for: it ends here.
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
