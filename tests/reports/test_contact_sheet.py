from __future__ import annotations

import io

import pytest
from PIL import Image

from imagepipe.reports import contact_sheet
from imagepipe.sink.results import Picture


def png(color: tuple[int, ...] = (200, 40, 40), size: tuple[int, int] = (32, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB" if len(color) == 3 else "RGBA", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def picture(number: int, prompt: str = "a cat", **values) -> Picture:
    given = {"base_prompt": "a cat", "seed": number, "png": png()}
    return Picture(**{"id": str(number), "prompt": prompt, **given, **values})


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_a_contact_sheet_shows_the_pictures_in_order():
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    pictures = [picture(n, png=png(color)) for n, color in enumerate(colors)]
    sheet = opened(contact_sheet.contact_sheet(pictures, columns=4, width=400))
    assert sheet.width == 400
    assert [sheet.getpixel((50 + 96 * n, 50)) for n in range(4)] == colors


def test_a_contact_sheet_keeps_the_shape_of_each_picture():
    wide, tall = png((255, 0, 0), (200, 50)), png((0, 0, 255), (10, 40))
    pictures = [picture(0, "", png=wide), picture(1, "", png=tall)]
    sheet = opened(contact_sheet.contact_sheet(pictures, columns=2, width=416))
    side = 184

    def extent(color: tuple[int, int, int]) -> tuple[int, int]:
        near = sheet.point(lambda value: 255 * (value > 127))
        mask = Image.new("L", sheet.size)
        mask.putdata([255 * (pixel == color) for pixel in near.get_flattened_data()])
        left, top, right, bottom = mask.getbbox()
        return right - left, bottom - top

    assert extent((255, 0, 0)) == (side, side // 4)
    assert extent((0, 0, 255)) == (side // 4, side)


def test_a_contact_sheet_writes_the_prompt_below_each_picture():
    blank = opened(contact_sheet.contact_sheet([picture(0, "")], width=200))
    short = opened(contact_sheet.contact_sheet([picture(0, "a cat")], width=200))
    long = opened(contact_sheet.contact_sheet([picture(0, "a cat " * 9)], width=200))
    endless = opened(contact_sheet.contact_sheet([picture(0, "a cat " * 20_000)], width=200))
    assert blank.size == short.size
    assert blank.tobytes() != short.tobytes()
    assert short.height < long.height <= endless.height < 2 * short.height


def test_no_line_of_a_prompt_is_on_the_sheet_twice():
    text = "A cat that is " + "very " * 200
    font = contact_sheet.font_for(1568)
    lines = contact_sheet.wrapped(text, font, 1568).split("\n")
    assert len(lines) < contact_sheet.TEXT_LINES
    said = " ".join(lines)
    assert said.endswith("…")
    assert text.startswith(said[:-1])


@pytest.mark.parametrize(
    "prompt",
    [
        "猫と犬 🐈‍⬛",
        "ñandú العربية",
        "\ud800 lone",
        "nul\0 tab\t line\n\r\x1b[31m",
        "x" * 100_000,
        " ",
    ],
)
def test_any_text_can_be_a_prompt(prompt):
    given = [picture(0, prompt, base_prompt=prompt, id=prompt)]
    assert opened(contact_sheet.contact_sheet(given)).width == 1600


def test_any_kind_of_png_can_be_shown():
    modes = [Image.new(mode, (20, 20)) for mode in ("L", "LA", "RGBA", "P", "1", "I;16")]
    buffers = [io.BytesIO() for _ in modes]
    for image, buffer in zip(modes, buffers, strict=True):
        image.save(buffer, "PNG")
    pictures = [picture(n, png=buffer.getvalue()) for n, buffer in enumerate(buffers)]
    assert opened(contact_sheet.contact_sheet(pictures)).width == 1600


def test_a_transparent_picture_lies_on_white():
    sheet = opened(contact_sheet.contact_sheet([picture(0, png=png((0, 0, 0, 0)))], width=100))
    assert sheet.getpixel((50, 50)) == (255, 255, 255)


def test_no_pictures_are_no_error():
    assert opened(contact_sheet.contact_sheet([])).width == 1600
