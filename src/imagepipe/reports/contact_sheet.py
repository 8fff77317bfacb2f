"""A run's pictures on one sheet, with their prompts."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

from imagepipe.reports.page import PAPER, at_once, chunks, encodable, encoded, fitted
from imagepipe.sink.results import Picture

GAP = 16  # px around the pictures of a sheet
TEXT_LINES = 6  # of a prompt on the sheet
TEXT_CHARACTERS = 600  # of a prompt on the sheet; the page has them all
INK = (40, 40, 46)


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
