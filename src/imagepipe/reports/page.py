"""What all pages of a run share: templates, and how pictures get into a page."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imagepipe.errors import figure
from imagepipe.resources.machine import cpu_count

if TYPE_CHECKING:
    from PIL.Image import Image

S = TypeVar("S")
T = TypeVar("T")
HERE = Path(__file__).parent
PAGE_SIDE = 512  # longest side of a picture in the page, px: 200 of them stay below some 10 MB
PAPER = (255, 255, 255)


def rendered(template: Path, data: Any, **values: Any) -> str:
    """A page; all text in it is escaped. `template` is NAME.html.j2, extends `page.html.j2`, and
    has its script beside it in NAME.js, which reads `data`, of what JSON has.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader([template.parent, HERE]),
    )
    environment.filters["figure"] = partial(figure, digits=4)
    environment.policies["json.dumps_kwargs"] = {}  # Jinja would sort what is in an order
    own = template.with_name(template.name.partition(".")[0] + ".js")
    script = "\n".join(path.read_text("utf-8") for path in (HERE / "page.js", own))
    page = environment.get_template(template.name)
    return page.render(data=data, script=script, sha256=_sha256(script), **values)


def fitted(png: bytes, side: int) -> Image:
    """The picture scaled to fit into a square of `side` px."""
    from PIL import Image, ImageOps

    return ImageOps.contain(_opaque(png), (side, side), Image.Resampling.BICUBIC)


def _opaque(png: bytes) -> Image:
    """RGB on white, whatever mode the file has."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        if not image.has_transparency_data:
            return image.convert("RGB")
        paper = Image.new("RGBA", image.size, (*PAPER, 255))
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")


def data_uri(png: bytes, side: int = PAGE_SIDE) -> str:
    """The picture for an `img`, scaled down to `side` px at most."""
    return f"data:image/webp;base64,{webp(png, side)}"


def webp(png: bytes, side: int) -> str:
    """The picture in base64, scaled down to `side` px at most."""
    image = _opaque(png)
    image.thumbnail((side, side))
    return base64.b64encode(encoded(image, "WEBP", quality=80, method=2)).decode()


def encoded(image: Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file of `kind`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encodable(text: str) -> str:
    """With lone surrogates, which UTF-8 cannot encode, and NUL replaced."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def at_once(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """`work` for each item, on all cores: Pillow's encoders and decoders release the GIL."""
    with ThreadPoolExecutor(cpu_count()) as pool:  # each thread holds a picture's pixels
        return list(pool.map(work, items))


def chunks(items: list[T], size: int) -> list[list[T]]:
    """The items in their order, `size` at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
