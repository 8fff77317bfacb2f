"""`python -m imagepipe.tracking FOLDER`: send to MLflow what a run kept while it was away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imagepipe.errors import UserError
from imagepipe.tracking import replay


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m imagepipe.tracking", description=__doc__)
    parser.add_argument("folder", type=Path, help="a run folder, such as outputs/DATE/TIME")
    folder = parser.parse_args(arguments).folder
    try:
        print(f"Recorded: {replay(folder)}")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
