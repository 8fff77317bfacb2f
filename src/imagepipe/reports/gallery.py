"""A run's pictures to look at: a contact sheet, and a web page in a single file."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

from imagepipe.sink.ledger import ENDS
from imagepipe.sink.results import Picture

S = TypeVar("S")
T = TypeVar("T")
TEMPLATE = Path(__file__).with_name("gallery.html.j2")
PAGE_SIDE = 512  # longest side of a picture in the page, px: 200 of them stay below some 10 MB
GAP = 16  # px around the pictures of a sheet
TEXT_LINES = 6  # of a prompt on the sheet
TEXT_CHARACTERS = 600  # of a prompt on the sheet; the page has them all
PAPER, INK = (255, 255, 255), (40, 40, 46)


def contact_sheet(
    pictures: Sequence[Picture], columns: int | None = None, width: int = 1600
) -> bytes:
    """A PNG `width` px wide: the pictures in order, fitted into squares, prompts below them.

    `columns` null: about as many as make the sheet a square, 10 at most.
    """
    from PIL import Image

    columns = columns or min(10, max(1, math.ceil(math.sqrt(len(pictures)))))
    side = (width - GAP) // columns - GAP
    font = font_for(side)
    fit = at_once(lambda picture: fitted(picture.png, side), pictures)
    texts = [wrapped(picture.prompt, font, side) for picture in pictures]
    rows = chunks(list(zip(fit, texts, strict=True)), columns)
    heights = [_row_height(row, font) for row in rows]
    sheet = Image.new("RGB", (width, sum(heights) + GAP), PAPER)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        _draw_row(sheet, row, top, side, font)
        top += height
    return encoded(sheet, "PNG", compress_type=3)  # run lengths: half the time, the same size


def html(pictures: Sequence[Picture], summary: Mapping[str, Any], title: str) -> str:
    """One page that needs nothing else: pictures inside it, search, an enlarged view.

    All text is escaped, and a content security policy lets only the page's own script run. Of
    `summary` it shows what `summary.json` has of counts, rates and time to the first picture.
    """
    cards = at_once(_card, pictures)
    scores = list(dict.fromkeys(name for card in cards for name in card["scores"]))
    facts = _facts(summary)
    return rendered(TEMPLATE, title=encodable(title), facts=facts, cards=cards, scores=scores)


def rendered(template: Path, **values: Any) -> str:
    """A page; all text in it is escaped. `sha256` makes the hash of a script for its policy."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["sha256"] = _sha256
    environment.policies["json.dumps_kwargs"] = {}  # Jinja would sort what is in an order
    return environment.from_string(template.read_text("utf-8")).render(**values)


def _row_height(row: list[tuple[Image, str]], font: FreeTypeFont) -> int:
    text = max(words.count("\n") + 1 for _, words in row) * line_height(font)
    return max(image.height for image, _ in row) + text + GAP + GAP // 2


def _draw_row(
    sheet: Image, row: list[tuple[Image, str]], top: int, side: int, font: FreeTypeFont
) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(sheet)
    bottom = top + max(image.height for image, _ in row)
    for place, (image, words) in enumerate(row):
        left = GAP + place * (side + GAP)
        sheet.paste(image, (left + (side - image.width) // 2, bottom - image.height))
        for line, text in enumerate(words.split("\n")):
            y = bottom + GAP // 2 + line * line_height(font)
            draw.text((left, y), text, INK, font)


def fitted(png: bytes, side: int) -> Image:
    """The picture as large as a square of `side` px takes it."""
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


def font_for(side: int) -> FreeTypeFont:
    """Pillow's own font, in a size that goes with pictures of `side` px."""
    from PIL import ImageFont

    return cast("FreeTypeFont", ImageFont.load_default(max(11, min(20, side // 14))))


def line_height(font: FreeTypeFont) -> int:
    """In px, from one line to the next."""
    return round(font.size * 1.3)


def wrapped(text: str, font: FreeTypeFont, side: int) -> str:
    """At most `TEXT_LINES` lines that fit `side`; what is cut off ends in an ellipsis."""
    words = " ".join(_plain(text[:TEXT_CHARACTERS]).split())
    average = max(1.0, font.getlength("the quick brown fox") / 19)
    characters = max(4, int(side / average))
    lines = textwrap.wrap(words, characters) or [""]
    while characters > 4 and max(font.getlength(line) for line in lines[:TEXT_LINES]) > side:
        characters -= 1
        lines = textwrap.wrap(words, characters)
    if len(lines) > TEXT_LINES or len(text) > TEXT_CHARACTERS:
        *before, last = lines[:TEXT_LINES]
        lines = [*before, last[:-1] + "…"]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Letters without their accents: Pillow's font has ASCII and little else."""
    parts = unicodedata.normalize("NFKD", encodable(text))
    return "".join(part for part in parts if not unicodedata.combining(part))


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Of a run's summary: (value, what it is, class) for those figures that it has."""
    rate = summary.get("images_per_s") or {}
    counts = ("rows_read", *ENDS)
    facts = [
        (f"{summary[name]:,}", name.replace("_", " "), name)
        for name in counts
        if summary.get(name) is not None
    ]
    figures = (
        (rate.get("end_to_end"), "pictures/s end to end"),
        (rate.get("steady"), "pictures/s steady"),
        (summary.get("time_to_first_image_s"), "s to the first picture"),
    )
    return facts + [
        (f"{value:,.3g}", label, "figure") for value, label in figures if value is not None
    ]


def _card(picture: Picture) -> dict[str, Any]:
    return {
        "id": encodable(picture.id),
        "base_prompt": encodable(picture.base_prompt),
        "prompt": encodable(picture.prompt),
        "seed": picture.seed,
        "scores": {encodable(name): score for name, score in picture.scores.items()},
        "image": data_uri(picture.png),
    }


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
    """Lone surrogates, which no UTF-8 file can hold, and NUL become a replacement character."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def at_once(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """`work` of each, on all cores: Pillow's encoders and decoders let other threads run."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, items))


def chunks(items: list[T], size: int) -> list[list[T]]:
    """The items in their order, `size` at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
