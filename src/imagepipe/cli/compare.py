"""`imagepipe compare RUN RUN ...`: finished runs side by side, also of different days and machines.

Each RUN is the folder of a run, or of a sweep for its finished jobs. The page first lists what
differs between them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imagepipe.cli import commands
from imagepipe.cli.messages import plainly
from imagepipe.config import Sweep
from imagepipe.config.fields import check_fields

if TYPE_CHECKING:
    from imagepipe.reports.comparison import Comparison


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 the runs are compared, 2 they cannot be."""
    parser = commands.parser("compare", __doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="outputs/DATE/TIME")
    parser.add_argument(
        "--by",
        choices=("id", "base_prompt"),
        help="how to match rows of different runs; default: id if all read the same tables",
    )
    parser.add_argument(
        "--objective",
        choices=("score", "images_per_s"),
        default="score",
        help="what decides which run is best; default score",
    )
    parser.add_argument("--score", help="which score decides; default the first")
    parser.add_argument(
        "--baseline", help="number of the run to compare the others with; default the first"
    )
    parser.add_argument("--level", type=float, default=0.95, help="confidence level; default 0.95")
    parser.add_argument(
        "--out", type=Path, help="output folder; default outputs/comparisons/DATE/TIME"
    )
    asked = parser.parse_intermixed_args(arguments)
    from imagepipe.reports import comparison

    aim = Sweep(asked.objective, asked.score, None, asked.baseline, asked.level)
    check_fields(aim, "--")
    out, found = compared(asked.runs, aim, asked.by, asked.out)
    for one in found.differences:
        print(f"differs    {one['key']}: {', '.join(map(str, one['values']))}")
    for text in (found.headline(), *found.besides()):
        print(f"compared   {text}")
    print(f"look at    {out / comparison.PAGE}")
    return 0


def compared(
    runs: Sequence[Path], aim: Sweep, by: str | None, out: Path | None
) -> tuple[Path, Comparison]:
    """The folder with the comparison (`out`, or one named by date and time), and the comparison.
    Raises UserError.
    """
    from imagepipe.reports.comparison import write_runs

    out = out or Path(time.strftime("outputs/comparisons/%Y-%m-%d/%H-%M-%S"))
    return out, write_runs(out.absolute(), [run.absolute() for run in runs], aim, by)


if __name__ == "__main__":
    sys.exit(main())
