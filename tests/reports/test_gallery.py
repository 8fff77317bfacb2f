from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from imagepipe.reports import gallery
from imagepipe.sink.results import Picture

SUMMARY = {
    "rows_read": 1200,
    "written": 1000,
    "failed": 150,
    "unmatched": 50,
    "already_done": 0,
    "images_per_s": {"end_to_end": 8.21, "steady": None},
    "time_to_first_image_s": 5.2,
}
ATTACKS = [
    "<script>document.title='broken in'</script>",
    "</span></button><img src=x onerror=\"document.title='broken in'\">",
    '" onmouseover="document.title=\'broken in\'" x="',
    "[click](javascript:document.title='broken in')",
    "{{ 7 * 7 }} {% raw %} </script><script>document.title='broken in'</script>",
]


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
    sheet = opened(gallery.contact_sheet(pictures, columns=4, width=400))
    assert sheet.width == 400
    assert [sheet.getpixel((50 + 96 * n, 50)) for n in range(4)] == colors


def test_a_contact_sheet_keeps_the_shape_of_each_picture():
    wide, tall = png((255, 0, 0), (200, 50)), png((0, 0, 255), (10, 40))
    pictures = [picture(0, "", png=wide), picture(1, "", png=tall)]
    sheet = opened(gallery.contact_sheet(pictures, columns=2, width=416))
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
    blank = opened(gallery.contact_sheet([picture(0, "")], width=200))
    short = opened(gallery.contact_sheet([picture(0, "a cat")], width=200))
    long = opened(gallery.contact_sheet([picture(0, "a cat " * 9)], width=200))
    endless = opened(gallery.contact_sheet([picture(0, "a cat " * 20_000)], width=200))
    assert blank.size == short.size
    assert blank.tobytes() != short.tobytes()
    assert short.height < long.height <= endless.height < 2 * short.height


def test_no_line_of_a_prompt_is_on_the_sheet_twice():
    text = "A cat that is " + "very " * 200
    font = gallery.font_for(1568)
    lines = gallery.wrapped(text, font, 1568).split("\n")
    assert len(lines) < gallery.TEXT_LINES
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
    assert opened(gallery.contact_sheet(given)).width == 1600
    gallery.html(given, {}, prompt).encode("utf-8")


def test_any_kind_of_png_can_be_shown():
    modes = [Image.new(mode, (20, 20)) for mode in ("L", "LA", "RGBA", "P", "1", "I;16")]
    buffers = [io.BytesIO() for _ in modes]
    for image, buffer in zip(modes, buffers, strict=True):
        image.save(buffer, "PNG")
    pictures = [picture(n, png=buffer.getvalue()) for n, buffer in enumerate(buffers)]
    assert opened(gallery.contact_sheet(pictures)).width == 1600
    assert gallery.html(pictures, {}, "modes").count("data:image/webp") == len(modes)


def test_a_transparent_picture_lies_on_white():
    sheet = opened(gallery.contact_sheet([picture(0, png=png((0, 0, 0, 0)))], width=100))
    assert sheet.getpixel((50, 50)) == (255, 255, 255)


def test_no_pictures_are_no_error():
    assert opened(gallery.contact_sheet([])).width == 1600
    assert "No pictures" in gallery.html([], SUMMARY, "none")


def test_the_page_needs_nothing_but_itself():
    page = gallery.html([picture(n) for n in range(3)], SUMMARY, "self-contained")
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|https?://""", page)


def test_two_hundred_large_pictures_make_a_page_that_still_loads():
    buffer = io.BytesIO()
    noise = Image.effect_noise((1024, 1024), 40)  # the worst that a codec can be given
    noise.convert("RGB").save(buffer, "PNG", compress_level=1)
    page = gallery.html([picture(n, png=buffer.getvalue()) for n in range(2)], {}, "large")
    assert len(page) / 2 * 200 < 25e6


@pytest.fixture
def show(browser, tmp_path):
    """Opens pictures as a gallery from a file; fails on any error of the page's script."""
    pages = []

    def opens(pictures: list[Picture], title: str = "A run", **options):
        path: Path = tmp_path / "gallery.html"
        path.write_text(gallery.html(pictures, SUMMARY, title), "utf-8")
        page = browser.new_page(**options)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield opens
    for page in pages:
        page.close()
        assert page.errors == []


@pytest.mark.browser
def test_the_header_tells_what_the_run_did(show):
    page = show([picture(0)], "Cats & <b>dogs</b>")
    assert page.title() == page.inner_text("h1") == "Cats & <b>dogs</b>"
    facts = page.inner_text(".facts").split("\n")
    assert facts == [
        "1,200 rows read",
        "1,000 written",
        "150 failed",
        "50 unmatched",
        "0 already done",
        "8.21 pictures/s end to end",
        "5.2 s to the first picture",
    ]


@pytest.mark.browser
def test_a_prompt_cannot_run_or_change_the_page(show):
    attacks = [picture(n, text, base_prompt=text[::-1], id=text) for n, text in enumerate(ATTACKS)]
    page = show(attacks, ATTACKS[0])
    for number, text in enumerate(ATTACKS):
        page.hover(f".card >> nth={number}")
        page.click(f".card >> nth={number}")
        assert page.inner_text('[data-part="prompt"]') == text
        assert text in page.inner_text('[data-part="meta"]')
        page.keyboard.press("Escape")
    assert page.title() == ATTACKS[0]
    assert page.locator(".card").count() == len(ATTACKS)
    assert page.locator("a, iframe, object, form").count() == 0


@pytest.mark.browser
def test_even_an_unescaped_script_would_not_run(show):
    page = show([picture(0)])
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'broken in'";
            document.body.append(script);
            const image = '<img src="data:," onerror="document.title = 1">';
            document.body.insertAdjacentHTML("beforeend", image);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.title() == "A run"


@pytest.mark.browser
def test_pictures_can_be_put_in_the_order_of_their_scores(show):
    scores = {"a": {"x": 20.5}, "b": {}, "c": {"x": 31.25}, "d": {"x": 7.0}}
    page = show([picture(0, id=name, scores=found) for name, found in scores.items()])
    orders = {"": "abcd", "-1 x": "cadb", "1 x": "dacb", " ": "abcd"}
    for value, order in orders.items():
        page.select_option("#order", value.strip())
        assert "".join(page.locator(".card .id").all_text_contents()) == order
    page.select_option("#order", label="Best score first")
    page.click(".card >> nth=0")
    assert "score 31.25" in page.inner_text('[data-part="meta"]')
    page.keyboard.press("ArrowRight")
    assert "score 20.50" in page.inner_text('[data-part="meta"]')
    unscored = show([picture(0)])
    assert unscored.locator("#order").count() == 0


@pytest.mark.browser
def test_of_several_scores_each_has_an_order(show):
    scores = {"a": {"x": 1.0, "it's": 3.0}, "b": {"x": 2.0}, "c": {"it's": 4.0}}
    page = show([picture(0, id=name, scores=found) for name, found in scores.items()])
    for label, order in {"Best x first": "bac", "Worst it's first": "acb"}.items():
        page.select_option("#order", label=label)
        assert "".join(page.locator(".card .id").all_text_contents()) == order
    assert "x 1.00 · it's 3.00" in page.inner_text(".card >> nth=0")


@pytest.mark.browser
def test_search_looks_in_both_prompts_and_the_id(show):
    page = show(
        [
            picture(101, "A sketch of a Fox in snow", base_prompt="a fox"),
            picture(102, "a cat at night", base_prompt="a cat in a red scarf"),
            picture(103, "a cat at noon", base_prompt="a cat in a blue hat"),
        ]
    )

    def found(words: str) -> list[str]:
        page.fill("#search", words)
        return page.locator(".card:visible .id").all_text_contents()

    assert found("SNOW fox") == ["101"]
    assert found("cat") == ["102", "103"]
    assert found("scarf") == ["102"]
    assert found("103") == ["103"]
    assert page.inner_text("#shown") == "1 of 3"
    assert found("zebra") == []
    assert found("") == ["101", "102", "103"]


@pytest.mark.browser
def test_a_click_enlarges_and_the_arrows_go_on(show):
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    page = show([picture(n, f"prompt {n}", png=png(colors[n])) for n in range(3)])
    view = page.locator("#view")
    assert not view.is_visible()
    page.click(".card >> nth=1")
    assert view.is_visible()
    small = page.locator(".card img").nth(1).bounding_box()
    large = page.locator('[data-part="image"]').bounding_box()
    assert large["height"] > 2 * small["height"]

    def seen() -> str:
        return page.inner_text('[data-part="prompt"]')

    assert seen() == "prompt 1"
    assert "a cat" in page.inner_text('[data-part="base"]')
    page.keyboard.press("ArrowRight")
    assert seen() == "prompt 2"
    page.keyboard.press("ArrowRight")
    assert seen() == "prompt 0"
    page.keyboard.press("ArrowLeft")
    assert seen() == "prompt 2"
    assert page.inner_text('[data-part="place"]') == "3 / 3"
    page.keyboard.press("Escape")
    assert not view.is_visible()


@pytest.mark.browser
def test_the_page_follows_light_and_dark(show):
    def paper(scheme: str) -> str:
        page = show([picture(0)], color_scheme=scheme)
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert (paper("light"), paper("dark")) == ("rgb(246, 246, 247)", "rgb(23, 24, 27)")


@pytest.mark.browser
def test_it_fits_a_phone(show):
    page = show([picture(n, "word" * 40) for n in range(4)], viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
