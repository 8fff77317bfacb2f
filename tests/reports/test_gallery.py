"""The gallery of a run, from its files, in a real Chromium."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers.galleries import png, row, written
from helpers.one_session import run
from helpers.waiting import until
from PIL import Image

from imagepipe.config import Config
from imagepipe.reports import gallery
from imagepipe.reports.gallery.rows import cell
from imagepipe.store import Store

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
ATTACKS = [
    "<script>document.title='broken in'</script>",
    "</span></button><img src=x onerror=\"document.title='broken in'\">",
    '" onmouseover="document.title=\'broken in\'" x="',
    "[click](javascript:document.title='broken in')",
    "{{ 7 * 7 }} {% raw %} </script><script>document.title='broken in'</script>",
]


def data_of(page: Path) -> dict:
    """What a page is told."""
    text = page.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def beside(page: Path) -> list[dict]:
    """What the scripts beside a page tell it."""
    scripts = [page.parent / name for name in data_of(page)["chunks"]]
    return [json.loads(script.read_text("utf-8")[len("imagepipeRows(") : -1]) for script in scripts]


@pytest.mark.parametrize(
    "text",
    ["猫と犬 🐈‍⬛", "ñandú العربية", "\ud800 lone", "nul\0 tab\t\x1b[31m", "x" * 100_000, " "],
    ids=range(6),
)
def test_any_text_can_be_in_a_row(tmp_path, text):
    encoded = text.encode("utf-8", "replace").decode()
    page = written(tmp_path, [row(0, encoded, note=encoded)], title=text[:99])
    columns = dict(data_of(page)["inside"]["columns"])
    assert columns["note"][0][:8] == encoded.replace("\0", "�")[:8]
    assert len(page.read_bytes()) < 60_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**53 + 1, str(2**53 + 1)),
        (7, 7),
        (True, "True"),
        (float("nan"), None),
        (b"\xff\0", "2 bytes"),
        ({"a": [1, b"x"]}, "{'a': \"[1, b'x']\"}"),
        (None, None),
    ],
    ids=["large", "small", "bool", "nan", "bytes", "struct", "null"],
)
def test_a_cell_is_what_a_page_can_hold(value, shown):
    assert cell(value) == shown


def test_any_kind_of_png_can_be_shown(tmp_path):
    modes = [Image.new(mode, (20, 20)) for mode in ("L", "LA", "RGBA", "P", "1", "I;16")]
    rows = []
    for number, image in enumerate(modes):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        rows.append(row(number, png=buffer.getvalue()))
    assert written(tmp_path, rows).read_text().count("data:image/webp") == len(modes)


def test_a_run_without_rows_has_no_page(tmp_path):
    assert not written(tmp_path, []).exists()


def test_a_page_of_few_pictures_is_one_file(tmp_path):
    page = written(tmp_path, [row(n) for n in range(3)], files=True)
    assert data_of(page)["chunks"] == []
    assert not (tmp_path / "gallery").exists()
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|https?://""", page.read_text())


def test_two_hundred_large_pictures_make_a_page_that_still_loads(tmp_path):
    buffer = io.BytesIO()
    noise = Image.effect_noise((1024, 1024), 40)  # the worst that a codec can be given
    noise.convert("RGB").save(buffer, "PNG", compress_level=1)
    page = written(tmp_path, [row(n, png=buffer.getvalue()) for n in range(2)], files=True)
    assert sum(len(small) for _, small in data_of(page)["inside"]["picture"]) / 2 * 200 < 25e6


def test_the_rows_of_a_large_run_are_in_scripts_beside_the_page(tmp_path):
    rows = [row(n) for n in range(1200)]
    failed = [{"id": f"f{n}", "stage": "model", "reason": "black"} for n in range(300)]
    page = written(tmp_path, rows, {"failed": failed}, sample=5, most=1150, files=True)
    inside, chunks = data_of(page)["inside"], beside(page)
    assert (inside["status"].count("written"), inside["status"].count("failed")) == (5, 200)
    assert [len(chunk["id"]) for chunk in chunks] == [1000, 245]
    every = [one for chunk in (inside, *chunks) for one in chunk["id"]]
    assert len(every) == len(set(every)) == 1150 + 300
    assert (data_of(page)["listed"], data_of(page)["pictures"]) == (1150, 1200)


def test_a_page_that_is_made_again_leaves_nothing_of_the_one_before(tmp_path):
    rows = [row(n) for n in range(30)]
    written(tmp_path, rows, sample=5, files=True)
    assert (tmp_path / "gallery" / "rows-0000.js").exists()
    written(tmp_path, rows, most=5, files=True)
    assert not (tmp_path / "gallery").exists()


def test_pictures_inside_the_table_are_copied_beside_the_page(tmp_path):
    page = written(tmp_path, [row(n, png=png(RED)) for n in range(3)], sample=1)
    files = [
        file for chunk in (data_of(page)["inside"], *beside(page)) for file, _ in chunk["picture"]
    ]
    assert files == [f"gallery/pictures/{n}.png" for n in range(3)]
    assert all((tmp_path / name).read_bytes() == png(RED) for name in files)


def test_columns_that_are_pictures_are_known_by_what_they_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in puts").mkdir()
    (tmp_path / "in puts" / "a.PNG").write_bytes(png(GREEN))
    cells = {
        "path": "in puts/a.PNG",
        "held": png(BLUE),
        "features": {"bytes": png(RED), "path": "x"},
        "gone": "nowhere.png",
        "digest": "0123abcd",
        "raw": b"\0\1",
        "http": "https://host/a.png",
    }
    page = written(tmp_path / "out", [row(0, **cells), row(1, path=None)], sample=1)
    [inputs] = data_of(page)["inside"]["inputs"]
    places = {name: file for name, (file, _) in inputs}
    assert list(places) == ["path", "held", "features"]
    assert places["path"] == "../in%20puts/a.PNG"
    assert (tmp_path / "out" / places["held"]).read_bytes() == png(BLUE)
    assert all(small.startswith("data:image/webp") for _, (_, small) in inputs)
    assert beside(page)[0]["inputs"] == [[]]


@pytest.mark.faults
@pytest.mark.parametrize("sink", ["files", "webdataset"])
def test_a_run_of_many_leaves_them_beside_its_page(tmp_path, sink):
    lines = [f"{n},{'' if n == 7 else 'cat'}" for n in range(220)]
    (tmp_path / "t.csv").write_text("\n".join(["id,animal", *lines]))
    typed = ["dataset=csv", "dataset.path=t.csv", "dataset.id=id", "dataset.prompt='a {animal}'"]
    typed += ["model=noop", "model.width=300", "model.height=300", "llm=none", "scorer=none"]
    out = run(tmp_path, "out", *typed, f"sink={sink}", "tracking=none")
    inside, chunks = data_of(out / "gallery.html"), beside(out / "gallery.html")
    assert (inside["pictures"], inside["listed"], inside["sample"]) == (219, 219, 200)
    assert inside["inside"]["reason"][-1] == "prompt: column 'animal' is empty"
    pictures = [picture for chunk in (inside["inside"], *chunks) for picture in chunk["picture"]]
    pictures = [(file, small) for file, small in pictures if file]
    assert len({file for file, _ in pictures}) == 219
    for file, small in pictures:
        with Image.open(out / unquote(file)) as picture:
            assert picture.size == (300, 300)
        if not small.startswith("data:"):
            with Image.open(out / unquote(small)) as picture:
                assert picture.size == (256, 256)
    assert sum(not small.startswith("data:") for _, small in pictures) == 19


@pytest.mark.parametrize("kind", ["avif", "png", "webp"])
def test_an_input_picture_that_is_damaged_is_left_out(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 40).convert("RGB").save(buffer, kind)
    (tmp_path / f"a.{kind}").write_bytes(buffer.getvalue()[:-100])
    page = written(tmp_path / "out", [row(0, one=f"a.{kind}")])
    assert data_of(page)["inside"]["inputs"] == [[["one", [f"../a.{kind}", None]]]]


def test_paths_of_pictures_count_from_the_folder_of_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("tables", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "a.png").write_bytes(png())
    (tmp_path / "b.png").write_bytes(png())
    store = Store(str(tmp_path / "out"))
    written(tmp_path / "out", [row(0, one="a.png", other="b.png")])
    [part] = store.parts("table")
    run = Config()
    run.dataset.path = "tables/t.csv"
    [entry] = gallery.rows(tmp_path / "out", store, ["id"], run).written(part)
    assert {name: file for name, (file, _) in entry.inputs.items()} == {
        "one": "../tables/a.png",
        "other": "../b.png",
    }


# --- in a browser


@pytest.fixture
def show(browser, tmp_path):
    """Opens rows as a gallery from a file; fails on whatever its console says."""
    pages = []

    def opens(rows, rejected=None, options=None, **how):
        path = written(tmp_path, rows, rejected, **how)
        page = browser.new_page(**(options or {}))
        page.said = []
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("console", lambda message: page.said.append(message.text))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield opens
    for page in pages:
        page.close()
        assert page.said == []


def ids(page) -> list[str]:
    return page.locator(".card .id").all_text_contents()


def cells_of(page) -> dict[str, str]:
    """What the enlarged view says of its row."""
    names, values = (page.locator(f"#view {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


@pytest.mark.browser
def test_the_header_tells_what_the_run_did(show):
    page = show([row(0)], title="Cats & <b>dogs</b>")
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
def test_a_row_cannot_run_or_change_the_page(show):
    attacks = [
        row(n, text, base_prompt=text[::-1], id=text, **{text: text, "__proto__": "x"})
        for n, text in enumerate(ATTACKS)
    ]
    rejected = [{"id": "r", "stage": "model", "reason": ATTACKS[0]}]
    page = show(attacks[1:], {"failed": rejected}, title=ATTACKS[0], sample=2)
    page.select_option("#status", "")
    assert page.locator(".card").count() == len(ATTACKS)
    for number in range(len(ATTACKS) - 1):
        page.click(f".card >> nth={number}")
        said = cells_of(page)
        if said["id"] != "r":
            assert page.inner_text('[data-part="prompt"]') == said["id"] == said[said["id"]]
            assert said["__proto__"] == "x"
        page.keyboard.press("Escape")
    assert page.title() == ATTACKS[0]
    assert page.locator("a, iframe, object, form").count() == 0


@pytest.mark.browser
def test_even_an_unescaped_script_would_not_run(browser, tmp_path):
    page = browser.new_page()
    page.goto(written(tmp_path, [row(n) for n in range(3)], sample=1, files=True).as_uri())
    until(lambda: page.evaluate("all.id.length === 3"))  # it has loaded scripts of its own
    (tmp_path / "theirs.js").write_text("document.title = 'broken in'")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'broken in'";
            const other = document.createElement("script");
            other.src = "theirs.js";
            document.body.append(script, other);
            const image = '<img src="data:," onerror="document.title = 1">';
            document.body.insertAdjacentHTML("beforeend", image);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.title() == "A run"
    page.close()


@pytest.mark.browser
def test_rows_are_put_in_the_order_of_scores_and_of_other_numbers(show):
    scores = {"a": 20.5, "b": None, "c": 31.25, "d": 7.0}
    weights = dict(zip("abcd", ("10", "9", "2e1", ""), strict=True))
    rows = [row(n, id=n, score=s, weight=weights[n] or None) for n, s in scores.items()]
    page = show(rows, scores={"x": "score"})
    for label, order in {
        "Best score first": "cadb",
        "Worst score first": "dacb",
        "Most weight first": "cabd",
        "Least weight first": "bacd",
        "By id": "abcd",
    }.items():
        page.select_option("#order", label=label)
        assert "".join(ids(page)) == order
    page.select_option("#order", label="Best score first")
    assert "score 31.25" in page.inner_text(".card >> nth=0")
    page.click(".card >> nth=0")
    page.keyboard.press("ArrowRight")
    assert cells_of(page)["score"] == "20.5"


@pytest.mark.browser
def test_of_several_scores_each_has_an_order(show):
    scores = {"a": (1.0, 3.0), "b": (2.0, None), "c": (None, 4.0)}
    rows = [row(n, id=n, score_x=x, score_y=y) for n, (x, y) in scores.items()]
    page = show(rows, scores={"x": "score_x", "it's": "score_y"})
    for label, order in {"Best x first": "bac", "Worst it's first": "acb"}.items():
        page.select_option("#order", label=label)
        assert "".join(ids(page)) == order
    assert "x 1 · it's 3" in page.inner_text(".card >> nth=0")


@pytest.mark.browser
def test_search_looks_in_all_columns(show):
    page = show(
        [
            row(101, "A sketch of a Fox in snow", base_prompt="a fox", coat=None),
            row(102, "a cat at night", base_prompt="a cat in a scarf", coat="red"),
            row(103, "a cat at noon", base_prompt="a cat in a hat", coat="blue"),
        ]
    )

    def found(words: str) -> list[str]:
        page.fill("#search", words)
        return ids(page)

    assert found("SNOW fox") == ["101"]
    assert found("cat") == ["102", "103"]
    assert found("scarf") == ["102"]
    assert found("blue cat") == ["103"]
    assert page.inner_text("#shown") == "1 of 3"
    assert found("zebra") == []
    assert page.inner_text("#grid") == "No row fits."
    assert found("") == ["101", "102", "103"]


@pytest.mark.browser
def test_rows_are_filtered_by_any_column(show):
    coats = ["red", "blue", "red", None, "red"]
    rows = [row(n, weight=f"{n}.5", coat=coat, note=f"note {n}") for n, coat in enumerate(coats)]
    page = show([*rows, *(row(n, note=f"another {n}") for n in range(5, 60))])

    def by(name: str) -> None:
        page.select_option("#by", f"={name}")

    by("coat")
    page.select_option(".filter select", "=red")
    assert ids(page) == ["0", "2", "4"]
    by("weight")
    page.fill('input[aria-label="weight from"]', "1")
    assert ids(page) == ["2", "4"]
    page.fill('input[aria-label="weight to"]', "2.5")
    assert ids(page) == ["2"]
    for name in ("coat", "weight"):
        page.click(f'button[aria-label="Without the filter by {name}"]')
    assert page.inner_text("#shown") == "60 of 60"
    by("note")
    page.fill('input[aria-label="note contains"]', "ANOTHER 1")
    assert page.inner_text("#shown") == "10 of 60"


@pytest.mark.browser
def test_rows_without_a_picture_say_why(show):
    rejected = {
        "failed": [{"id": "f", "animal": "eel", "stage": "model", "reason": "drew black"}],
        "filtered": [{"id": "x", "animal": "owl", "stage": "filter", "reason": "score is 3"}],
    }
    page = show([row(0), row(1)], rejected)
    options = page.locator("#status option").all_inner_texts()
    assert options == ["written (2)", "failed (1)", "filtered (1)", "all rows (4)"]
    assert ids(page) == ["0", "1"]
    page.select_option("#status", "failed")
    assert page.inner_text(".card").split("\n") == ["model: drew black", "eel", "id f"]
    page.click(".card")
    assert cells_of(page)["failed"] == "model: drew black"
    assert "steps" not in cells_of(page)
    page.keyboard.press("Escape")
    page.select_option("#status", "")
    assert ids(page) == ["0", "1", "f", "x"]


@pytest.mark.browser
def test_a_click_enlarges_and_the_keys_go_on(show):
    colors = [RED, GREEN, BLUE]
    page = show([row(n, f"prompt {n}", png=png(colors[n])) for n in range(3)], files=True)
    view = page.locator("#view")
    assert not view.is_visible()
    page.click(".card >> nth=1")
    assert view.is_visible()
    small = page.locator(".card img").nth(1).bounding_box()
    large = view.locator("img").bounding_box()
    assert large["height"] > 2 * small["height"]
    assert view.locator("img").get_attribute("src") == "./images/1.png"
    assert cells_of(page)["steps"] == "8"
    for key, prompt in (("ArrowRight", 2), ("ArrowRight", 0), ("ArrowLeft", 2)):
        page.keyboard.press(key)
        assert page.inner_text('[data-part="prompt"]') == f"prompt {prompt}"
    assert page.inner_text('[data-part="place"]') == "3 / 3"
    page.keyboard.press("Escape")
    assert not view.is_visible()
    focused = "document.activeElement.querySelector('.id')?.textContent"
    until(lambda: page.evaluate(focused) == "2")  # the page hears later that the view is closed
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == "1"
    page.keyboard.press("/")
    page.keyboard.type("prompt 2")
    assert ids(page) == ["2"]
    page.keyboard.press("Escape")
    assert ids(page) == ["0", "1", "2"]
    assert page.evaluate(focused) == "0"


@pytest.mark.browser
def test_input_pictures_stand_beside_what_was_drawn(show):
    page = show([row(n, png=png(RED), photo=png(BLUE)) for n in range(2)], sample=1)
    until(lambda: page.evaluate("all.id.length === 2"))
    images = "[...document.querySelectorAll('#view img')]"
    for _ in range(2):
        page.click(".card >> nth=0")
        assert page.locator("#view figcaption").all_inner_texts() == ["drawn", "photo"]
        until(lambda: page.evaluate(f"{images}.every((image) => image.naturalWidth === 32)"))
        page.keyboard.press("Escape")


@pytest.mark.browser
def test_a_large_gallery_loads_as_one_scrolls(show):
    rows = [row(n, f"prompt {n}") for n in range(1200)]
    page = show(rows, sample=20, files=True)
    until(
        lambda: page.evaluate("document.querySelector('#shown').textContent === '1,200 of 1,200'")
    )
    assert page.inner_text("#note") == ""
    assert page.locator(".card").count() < 100
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".id", has_text=re.compile("^1199$")).wait_for()
    assert page.locator(".card").count() < 100
    image = page.locator(".card", has_text="prompt 1199").locator("img")
    assert image.get_attribute("src") == "./images/1199.png"
    page.fill("#search", "prompt 77")
    assert page.inner_text("#shown") == "21 of 1,200"


@pytest.mark.browser
def test_inside_another_page_there_is_a_sample_that_is_said(browser, tmp_path):
    path = written(tmp_path, [row(n) for n in range(30)], sample=4)
    (tmp_path / "outer.html").write_text(
        f'<iframe src="{path.name}" width=900 height=700></iframe>'
    )
    page = browser.new_page()
    page.goto((tmp_path / "outer.html").as_uri())
    frame = page.frame_locator("iframe")
    note = (
        f"A sample: 4 of 30 pictures. All rows are in gallery.html in the run's folder, {tmp_path}"
    )
    assert frame.locator("#note").inner_text().startswith(note)
    sources = frame.locator("img").evaluate_all("images => images.map(image => image.src)")
    assert len(sources) == 4 and all(one.startswith("data:image/webp") for one in sources)
    page.close()


@pytest.mark.browser
def test_a_picture_that_is_gone_is_said_to_be(browser, tmp_path):
    path = written(tmp_path, [row(n) for n in range(2)], sample=1, files=True)
    (tmp_path / "images" / "1.png").unlink()
    page = browser.new_page()
    page.goto(path.as_uri())
    gone = page.locator(".card", has_text="The picture is not beside this page.")
    gone.wait_for()
    assert gone.locator(".id").inner_text() == "1"
    page.close()


@pytest.mark.browser
def test_the_page_follows_light_and_dark(show):
    def paper(scheme: str) -> str:
        page = show([row(0)], options={"color_scheme": scheme})
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert (paper("light"), paper("dark")) == ("rgb(246, 246, 247)", "rgb(23, 24, 27)")


@pytest.mark.browser
def test_it_fits_a_phone(show, screenshot):
    rows = [row(n, "word" * 40, photo=png(BLUE), **{"name" * 20: "x" * 90}) for n in range(4)]
    page = show(rows, options={"viewport": {"width": 390, "height": 800}})
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 390
    page.select_option("#by", "=prompt")
    assert page.evaluate(width) <= 390
    page.click(".card >> nth=0")
    assert page.evaluate("document.querySelector('#view').scrollWidth") <= 390
    screenshot(page, "gallery_phone")
