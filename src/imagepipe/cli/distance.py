"""`imagepipe distance PICTURES REFERENCE`: the distance between two sets of pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from imagepipe.cli import commands
from imagepipe.cli.composing import composed
from imagepipe.cli.messages import plainly
from imagepipe.errors import UserError

PLACES = "a run's folder, a folder of pictures, or a table with paths or bytes"


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 it is measured, 1 that broke, 2 what was typed is wrong."""
    parser = commands.parser("distance")
    parser.add_argument("pictures", help=PLACES)
    parser.add_argument("reference", help="pictures to compare with, in the same forms")
    parser.add_argument("overrides", nargs="*", help="the network to use, such as distance=clip")
    parser.add_argument(
        "--image",
        help="for a table: column with paths or bytes of pictures; default image or image_path",
    )
    parser.add_argument(
        "--level", type=float, default=0.95, help="confidence level of the intervals; default 0.95"
    )
    parser.add_argument("--out", type=Path, help="save the figures as a JSON file")
    parser.add_argument("--config-dir", help="a folder with presets of your own")
    asked = parser.parse_intermixed_args(arguments)
    if not 0.5 <= asked.level < 1:
        raise UserError(
            field="--level", value=asked.level, problem="is not a level", remedy="Such as 0.95."
        )
    config = composed(asked.overrides, asked.config_dir)
    from imagepipe.execution.distance import Pictures, measured  # heavy: not before all is known
    from imagepipe.reports import distances
    from imagepipe.scoring import features

    features.check(config.distance)
    pictures, reference = (
        Pictures(getattr(asked, place), place, asked.image) for place in ("pictures", "reference")
    )
    found = measured(config.distance, pictures, reference, asked.level)
    for title, text in distances.lines(found).items():
        print(f"{title:<10} {text}")
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
