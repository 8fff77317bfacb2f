"""Runs the custom stages that changed a picture again, if the user allows it.

The picture's file names their classes, so whoever made the file chose that code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe.errors import UserError, shown
from imagepipe.sink.metadata import STAGES

if TYPE_CHECKING:
    import numpy as np

TOLD = ("prompt", "base_prompt", "seed")  # what of its row a picture says


def check(path: Path, texts: Mapping[str, str], *, trust: bool) -> None:
    """Raise UserError for a picture that custom stages changed, unless it is trusted."""
    if STAGES in texts and not trust:
        raise UserError(
            field="IMAGE",
            value=path,
            problem=f"was changed by custom stages ({shown(texts[STAGES])}), which can "
            "run any code",
            remedy="Add --trust if the picture is your own.",
        )


def changed(texts: Mapping[str, str], picture: np.ndarray) -> np.ndarray:
    """`picture`, uint8 (height, width, 3), after the stages in its metadata `texts`.

    Raises ValueError if one of them reads a column that the metadata does not have.
    """
    from imagepipe.stages import own

    for number, entry in enumerate(json.loads(texts.get(STAGES, "[]"))):
        made = own.make(entry["_target_"], entry["arguments"], f"stages.{number}")
        if other := [name for name in made.reads if name not in (*TOLD, own.IMAGE)]:
            raise ValueError(f"{entry['_target_']} reads {', '.join(other)}, of its row")
        known: dict[str, list[Any]] = {name: [texts[name]] for name in TOLD}
        known |= {"seed": [int(texts["seed"])], own.IMAGE: [picture[None]]}
        made.load()
        picture = made.process({name: known[name] for name in made.reads})[own.IMAGE][0][0]
    return picture
