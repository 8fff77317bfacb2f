"""Pictures as files: PNG, JPEG or WebP, each with its metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

SUFFIXES = {"png": "png", "jpeg": "jpg", "webp": "webp"}  # by `sink.image_format`
QUALITY = 90  # of JPEG and WebP where none is given
# zlib's run-length strategy (zlib.Z_RLE): half the time of the default at the same size.
RLE = 3
USER_COMMENT = 0x9286  # of EXIF, where image tools look for `parameters` outside PNG
EXIF_IFD = 0x8769
MOST_BYTES = 64_000  # of EXIF and of XMP: a JPEG's segment holds 65,533, with its own head
# "Media created by a model": https://cv.iptc.org/newscodes/digitalsourcetype/, in the property of
# IPTC's photo metadata standard that image tools, search engines and archives read.
MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>{more}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
MORE = '\n<i:metadata xmlns:i="urn:imagepipe:metadata">{}</i:metadata>'


def encode(
    image: np.ndarray,
    metadata: Mapping[str, str],
    image_format: str = "png",
    quality: int | None = None,
) -> bytes:
    """`image`, uint8 (height, width, 3), as a file with `metadata` and the mark that a model
    made it.

    A PNG has a text chunk for each entry of `metadata`. JPEG and WebP have `parameters` in the
    UserComment of EXIF, where image tools look for it, and all entries as JSON in their XMP; long
    texts are cut, since neither holds more than 64 kB.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer,
        image_format,
        **_png(metadata) if image_format == "png" else _lossy(metadata, quality or QUALITY),
    )
    return buffer.getvalue()


def _png(metadata: Mapping[str, str]) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in metadata.items():
        info.add_itxt(key, value)
    info.add_itxt("XML:com.adobe.xmp", XMP.format(source=MADE_BY_A_MODEL, more=""))
    return {"pnginfo": info, "compress_type": RLE}


def _lossy(metadata: Mapping[str, str], quality: int) -> dict[str, Any]:
    from PIL import Image

    exif = Image.Exif()
    comment = metadata.get("parameters", "").encode("utf-16-be", "replace")
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + comment[:MOST_BYTES]
    return {"quality": quality, "exif": exif.tobytes(), "xmp": _xmp(metadata, MOST_BYTES)}


def _xmp(metadata: Mapping[str, str], most: int) -> bytes:
    """With texts of at most `most` characters, or fewer, until everything fits."""
    cut = json.dumps({key: value[:most] for key, value in metadata.items()})
    xmp = XMP.format(source=MADE_BY_A_MODEL, more=MORE.format(escape(cut))).encode()
    return xmp if len(xmp) <= MOST_BYTES else _xmp(metadata, most // 2)
