"""The networks of `distance`, whose features of two sets of pictures are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from imagepipe.config import Distance
from imagepipe.errors import UserError
from imagepipe.stages import engines, weights

__all__ = ["PictureFeatures"]  # what a plug-in may rely on: docs/plugins.md


class PictureFeatures(Protocol):
    """Constructed as a check first; `load` is called before `features`."""

    def load(self) -> None:
        """Read weights into memory."""
        ...

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (n, d) for n pictures, uint8 (height, width, 3) each, of any sizes."""
        ...


def make(distance: Distance) -> Any:
    """The engine that `distance.engine` names, not yet loaded. Raises UserError if there is
    none.
    """
    if not engines.of("distance", distance).works:
        every = [name for name, line in engines.TABLE["distance"].items() if line.works]
        raise UserError(
            field="distance",
            value=distance.name,
            problem="names no network whose features tell pictures apart",
            remedy="Choose one: distance=clip, or distance=tiny_clip for the toy world. A preset "
            f"of your own has one of these engines: {', '.join(every)}.",
        )
    return engines.recipe("distance", distance, PictureFeatures)()


def check(distance: Distance) -> None:
    """On the driver, before anything starts. Raises UserError if the network is unavailable."""
    make(distance)
    if engines.of("distance", distance).weights:
        weights.check_safe("distance.path", distance.path, distance.revision)
    engines.check("distance", distance, PictureFeatures)
