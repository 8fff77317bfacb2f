"""Small pictures for the gallery, made by the writers, which have the pixels.

A picture file no larger than SIDE is its own thumbnail.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from imagepipe.store import Store

SIDE = 256  # longest side, px
FOLDER = "thumbnails"
DIGITS = 24  # of the hash that names a part


def thumbnail(image_path: str) -> str:
    """The name in the store of a picture's thumbnail."""
    return f"{FOLDER}/{PurePosixPath(image_path).stem}.webp"


@dataclass(frozen=True)
class Thumbnails:
    """Of which parts there are small pictures: of a `share` of them, those first by name, which the
    gallery shows. `files`: the pictures are files.
    """

    share: float = 0.0
    files: bool = True

    def write(
        self, store: Store, part: str, paths: Sequence[str], images: Sequence[np.ndarray]
    ) -> None:
        """Write the wanted thumbnails of the pictures `paths` of a part."""
        for path, image in zip(paths, images, strict=True):
            if small := self.of(part, image):
                store.write(thumbnail(path), small)

    def of(self, part: str, image: np.ndarray) -> bytes | None:
        """The WebP of a picture of `part`, uint8 (height, width, 3); null if none is wanted."""
        from PIL import Image

        if int(part[-DIGITS:], 16) >= self.share * 16**DIGITS:
            return None
        if self.files and max(image.shape[:2]) <= SIDE:
            return None
        small = Image.fromarray(image)
        small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=80, method=2)
        return buffer.getvalue()
