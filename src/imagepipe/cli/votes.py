"""`imagepipe votes FILE ...`: adds blind votes to a comparison; its page exports them as files.

Page and MLflow then show which job was preferred, and how well each score agrees.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imagepipe.cli import commands
from imagepipe.cli.messages import plainly
from imagepipe.errors import UserError

if TYPE_CHECKING:
    from imagepipe.reports.comparison import Comparison


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 the votes are added, 2 they cannot be."""
    parser = commands.parser("votes", __doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="votes-VOTER.json")
    parser.add_argument("--of", type=Path, help="the comparison's folder, if it was moved")
    asked = parser.parse_intermixed_args(arguments)
    from imagepipe.reports import comparison
    from imagepipe.reports.comparison import record, votes

    folder = (asked.of or _folder(asked.files[0])).absolute()
    before, _ = record.read(folder)
    known = (before.name, before.labels, before.keys)
    given = {path: votes.read(path, *known) for path in asked.files}
    for path, (voter, _) in given.items():  # none is kept unless all are right
        votes.keep(folder, path, voter)
    found = comparison.write_again(folder)
    sent = _record(folder, found)
    judged = {one.measure: one for one in found.verdicts}[votes.NAME]
    print(f"votes      {len(found.votes)}. {judged.sentence}")
    for one in judged.standings:
        print(
            "           " + ", ".join(filter(None, [f"{one.entry.label}: {one.said}", one.apart]))
        )
    for name, (share, rows) in found.agreement.items():
        print(f"agreement  {name} on {votes.percent(share)} of {rows} rows")
    print(f"look at    {folder / comparison.PAGE}")
    if sent:
        print(f"mlflow     {sent}")
    return 0


def _folder(path: Path) -> Path:
    """The folder of the comparison that a vote file belongs to. Raises UserError."""
    try:
        named = Path(json.loads(path.read_text("utf-8"))["folder"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            field="FILE",
            value=path,
            problem=f"is not a file exported by a comparison's page ({error})",
            remedy="Name one, such as votes-VOTER.json.",
        ) from error
    if not named.is_dir():
        raise UserError(
            field="FILE",
            value=path,
            problem=f"is of the comparison in {named}, which is not here",
            remedy="Say where it is now: --of=FOLDER.",
        )
    return named


def _record(folder: Path, found: Comparison) -> str | None:
    """Record the votes in MLflow, with the sweep and its jobs; the link, or null without MLflow."""
    from imagepipe import tracking
    from imagepipe.reports.comparison import PAGE, votes

    level, values = found.aim.level, {"votes": float(len(found.votes))}
    for name, (share, _) in found.agreement.items():
        values[f"votes/agreement/{name}"] = share.value
    kept = [f"{votes.FOLDER}/{path.name}" for path in sorted((folder / votes.FOLDER).iterdir())]
    if not tracking.amend(folder, values, [PAGE, *kept]):
        return None
    expected = {one.measure: one for one in found.verdicts}[votes.NAME].standings
    for standing in expected:
        share, rows = votes.won(found.votes, standing.entry.label, level)
        own = {"votes/rows": float(rows), "votes/bradley_terry": standing.value.value}
        if not math.isnan(share.value):
            own["votes/win_rate"] = share.value
        for job in standing.entry.runs:
            tracking.amend(job.folder, own)
    return tracking.replay(folder)


if __name__ == "__main__":
    sys.exit(main())
