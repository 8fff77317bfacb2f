"""Decodes an input picture and fits it to the size of its row's picture."""

from __future__ import annotations

import io
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from imagepipe.errors import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

# Those that Pillow reads by itself: for PostScript it would start another program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
THUMBNAIL = 256  # pixels of its longer side
QUALITY = 85
ONE_AT_A_TIME = threading.Lock()  # of threads: what is done with warnings is so in all of them


class Unusable(Exception):
    """Why bytes cannot be used as an input picture."""


def decoded(content: bytes) -> Image:
    """The picture in RGB: rotated as EXIF says, transparent parts on white, the first frame of
    an animation, 8 bits.

    Raises Unusable, also if it has more pixels than Pillow considers safe.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not content:
        raise Unusable("is empty (0 bytes)")
    try:
        with ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow mends
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                picture.load()
                return _rgb(ImageOps.exif_transpose(picture))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
        raise Unusable(f"has more pixels than are safe to read ({most})") from error
    except UnidentifiedImageError as error:
        raise Unusable(f"is not a picture of {', '.join(FORMATS)}") from error
    except Unusable:
        raise
    except Exception as error:  # whatever Pillow's many readers raise for a file that is broken
        raise Unusable(f"is a picture that cannot be read ({one_line(error)})") from error


def _rgb(picture: Image) -> Image:
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits, which a conversion would cut off at 255
        levels = np.asarray(picture).astype(np.int64) >> 8
        picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    elif picture.mode == "F":
        raise Unusable("holds floating-point numbers, whose white is not known")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        behind = Image.new("RGBA", picture.size, (*WHITE, 255))
        picture = Image.alpha_composite(behind, picture)
    return picture.convert("RGB")


def fitted(picture: Image, width: int, height: int, fit: str) -> Image:
    """`picture` with `width` x `height` pixels.

    crop: fills the size, and what is too much at two sides is cut off. pad: fits inside, on black.
    stretch: is stretched to it.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    size, how = (width, height), Resampling.LANCZOS
    if fit == "crop":
        return ImageOps.fit(picture, size, how)
    if fit == "pad":
        return ImageOps.pad(picture, size, how, color=BLACK)
    return picture.resize(size, how)


def thumbnail(picture: Image) -> bytes:
    """A small JPEG of it."""
    small, buffer = picture.copy(), io.BytesIO()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    small.save(buffer, "jpeg", quality=QUALITY)
    return buffer.getvalue()


def pixels(picture: Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 (height, width, 3)."""
    return np.asarray(picture, np.uint8)
