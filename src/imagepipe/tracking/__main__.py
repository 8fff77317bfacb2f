"""`imagepipe track FOLDER`: sends a run to MLflow later, if the server was away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imagepipe.errors import UserError
from imagepipe.tracking import replay


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 all was sent, 2 it was not."""
    parser = argparse.ArgumentParser(prog="imagepipe track", description=__doc__)
    parser.add_argument("folder", type=Path, help="a run folder, such as outputs/DATE/TIME")
    parser.add_argument(
        "--uri", help="send to this store instead of the run's own; as in tracking.uri"
    )
    asked = parser.parse_args(arguments)
    try:
        print(f"Recorded: {replay(asked.folder, asked.uri)}")
    except UserError as error:
        print(f"imagepipe: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
