"""`imagepipe distance PICTURES REFERENCE`: how far a set of pictures is from another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe.cli import commands
from imagepipe.cli.composing import composed
from imagepipe.cli.messages import plainly
from imagepipe.errors import UserError

if TYPE_CHECKING:
    from imagepipe.execution.distance import Features
    from imagepipe.scoring.sets import Figure

BROKEN = 3  # pictures that cannot be read, by name
PLACES = "a run's folder, a folder of pictures, or a table with paths or bytes"


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 it is measured, 1 that broke, 2 what was typed is wrong."""
    parser = commands.parser("distance")
    parser.add_argument("pictures", help=PLACES)
    parser.add_argument("reference", help="what they are compared with: the same kinds of place")
    parser.add_argument("overrides", nargs="*", help="whose features: scorer=clip")
    parser.add_argument("--image", help="of a table: the column of the paths, or of the bytes")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--config-dir", help="a folder with presets of your own")
    asked = parser.parse_intermixed_args(arguments)
    if not 0.5 <= asked.level < 1:
        raise UserError(
            field="--level", value=asked.level, problem="is no level", remedy="Such as 0.95."
        )
    config = composed(asked.overrides, asked.config_dir)
    if len(config.scorer) != 1:
        raise UserError(
            field="scorer",
            value=", ".join(config.scorer) or "none",
            problem="the features are those of one scorer",
            remedy="Choose it: scorer=clip",
        )
    from imagepipe.execution import distance  # heavy: not before all that is known
    from imagepipe.scoring import sets
    from imagepipe.sources.pictures import Existing

    made = distance.model(next(iter(config.scorer.values())))
    pictures, reference = (
        distance.features(made, Existing(getattr(asked, place), image=asked.image), place)
        for place in ("pictures", "reference")
    )
    found = sets.figures(pictures.found, reference.found, asked.level)
    for line in lines(asked, next(iter(config.scorer)), pictures, reference, found):
        print(line)
    if asked.out:
        figures = {k: one if isinstance(one, str) else asdict(one) for k, one in found.items()}
        asked.out.write_text(json.dumps(figures, indent=2))
    return 0


def lines(
    asked: Any,
    scorer: str,
    pictures: Features,
    reference: Features,
    found: Mapping[str, Figure | str],
) -> Iterator[str]:
    """What is told: both sets, whose features, and a line a figure."""
    yield f"pictures   {_said(asked.pictures, pictures)}"
    yield f"reference  {_said(asked.reference, reference)}"
    width = pictures.found.shape[1]
    yield f"features   {scorer}, {width} numbers a picture, resized by its own processor"
    for name, figure in found.items():
        yield f"{name:<10} {figure if isinstance(figure, str) else _figure(figure)}"
    yield (
        "note       compare only runs of equally many pictures, by the same features, with the "
        "same reference; FID in papers is of Inception's features"
    )


def _said(place: str, features: Features) -> str:
    broken = list(features.broken.items())
    if not broken:
        return f"{len(features.found)} in {place}"
    some = "; ".join(f"{id}: {why}" for id, why in broken[:BROKEN])
    return f"{len(features.found)} in {place}, and {len(broken)} left out ({some})"


def _figure(figure: Figure) -> str:
    said = f"{figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"
    return f"{said}, {figure.bias:+.2g} of it for want of more pictures"


if __name__ == "__main__":
    sys.exit(main())
