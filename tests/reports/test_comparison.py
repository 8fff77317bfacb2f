"""The page and the sheet that hold the jobs of a sweep side by side."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.compared import ATTACK, BLUE, GREEN, RED, Made, png, swept_into
from PIL import Image
from playwright.sync_api import expect

from imagepipe.config import Sweep
from imagepipe.reports import comparison
from imagepipe.reports.comparison import tables
from imagepipe.reports.comparison.grid import Grid
from imagepipe.reports.comparison.pictures import AT_ONCE, pictures
from imagepipe.store import Store

JOBS = [
    Made({"model.steps": "2", "llm": "none"}, 8.0, 0.20, RED, ("red cat", "red dog")),
    Made({"model.steps": "16", "llm": "none"}, 1.0, 0.40, GREEN, ("green cat", ATTACK)),
    Made({"model.steps": "0", "llm": "none"}),
    Made({"model.steps": "4", "llm": "tiny"}, 4.0, 0.10, BLUE, ("blue cat",)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    swept_into(made, JOBS)
    return made


def test_the_best_job_is_named_and_by_how_much(folder):
    found = comparison.collect(folder, Sweep())
    assert found.headline().startswith(
        "3 of 4 jobs finished, 1 did not. Fastest is model.steps=2, llm=none: 7.98 ("
    )
    assert found.headline().endswith(") as fast as model.steps=4, llm=tiny.")
    assert found.numbers() == {
        "jobs": 4,
        "jobs_finished": 3,
        "best_images_per_s": pytest.approx(7.98, abs=0.01),
    }
    assert ATTACK in found.note()


@pytest.mark.browser
def test_the_page_says_how_sure_each_figure_is(folder, browser):
    page = browser.new_page()
    page.goto((folder / comparison.PAGE).as_uri())
    labels = page.locator("#verdict tbody th").all_inner_texts()
    first, *others = page.locator("#verdict tbody td:nth-child(2)").all_inner_texts()
    page.close()
    assert labels == [JOBS[place].label for place in (0, 3, 1)]
    assert re.fullmatch(r"7\.98 \(.*\) pictures/s\nthe baseline", first)
    assert re.search(r"\n0\.5 \(.*\) times as fast: clear difference", others[0])
    assert others[1].endswith(": clear difference")


def test_a_best_score_is_that_of_the_rows_that_all_have(folder):
    scored = comparison.collect(folder, Sweep("score"))
    assert scored.verdict.named is None  # of one row
    assert [s.value.value for s in scored.verdict.standings] == [0.4, 0.2, 0.1]
    assert scored.verdict.remarks == ["scores compared on the 1 of 2 rows that every job has"]


def test_a_job_too_short_for_a_rate_is_not_ranked(tmp_path):
    short = Made({"seed": "2"}, 9.0, None, GREEN, steady=False)
    found = swept_into(tmp_path, [Made({"seed": "1"}, 3.0, None, RED), short])
    assert found.kind == "end_to_end"
    said = "(too few pictures to compare the speed of: seed=2; about limit=304 would do)"
    assert found.headline().endswith(said)
    assert found.numbers() == {"jobs": 2, "jobs_finished": 2}


@pytest.mark.parametrize("jobs", [[], [Made({"seed": "1"})], [Made({}, 1.0, None, RED)]])
def test_there_is_a_page_whatever_the_jobs_left(tmp_path, jobs: list[Made]):
    found = swept_into(tmp_path, jobs)
    assert len(found.jobs) == len(jobs)
    assert (tmp_path / comparison.PAGE).stat().st_size > 1000
    assert (tmp_path / comparison.SHEET).exists() == any(job.color for job in jobs)


def test_the_sheet_has_a_line_a_row_and_a_column_a_job(folder):
    with Image.open(folder / comparison.SHEET) as sheet:
        colors = [[sheet.getpixel((x, y)) for x in range(sheet.width)] for y in range(sheet.height)]
    first = [line for line in colors if line.count(RED) > 50]
    assert len(first) == 2 * 256
    for line in first[:200]:  # red, green, then a gap, then blue
        seen = [color for color in dict.fromkeys(line) if color in (RED, GREEN, BLUE)]
        assert seen == [RED, GREEN, BLUE]
        gap = line.index(BLUE) - (len(line) - line[::-1].index(GREEN))
        assert 256 < gap < 2 * 256
    assert BLUE not in first[300]  # that job has no second row


def test_the_page_is_small_and_needs_nothing_but_itself(folder):
    page = (folder / comparison.PAGE).read_text()
    assert len(page) < 200_000
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|https?://(?!www\.w3)""", page)


def data_of(folder: Path) -> dict:
    """What the page in `folder` is told."""
    text = (folder / comparison.PAGE).read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_a_job_without_a_rate_to_hold_against_others_is_perhaps_on_the_front(tmp_path):
    jobs = [Made({"seed": f"{seed}"}, 2.0, 0.5, RED, steady=False) for seed in range(2)]
    found = swept_into(tmp_path, jobs)
    assert found.fronts == {"clip": {}}
    fronts = [point["front"] for point in data_of(tmp_path)["points"]]
    assert fronts == [{"clip": "perhaps"}] * 2


def test_pictures_of_a_large_sweep_are_small_and_those_beyond_lie_beside_it(tmp_path):
    ids = [str(place) for place in range(12)]
    job = Made({"seed": "1"}, 1.0, None, RED, prompts=ids, ids=ids[::-1], beside=True, side=100)
    found = swept_into(tmp_path, [job])
    (one,) = pictures(Grid.of(found), tmp_path, pixels=4 * 72**2)
    assert list(one.small) == ["0", "1", "2", "3"]
    assert Image.open(io.BytesIO(base64.b64decode(one.small["0"]))).size == (72, 72)
    data = data_of(tmp_path)
    assert [row[0] for row in data["rows"]] == ids
    assert [row[3][0][3] for row in data["rows"]] == [f"0/images/{name}.png" for name in ids]


def test_pictures_that_are_no_files_are_copied_beside_the_page(tmp_path):
    ids = ["a/b", "c", "d"]
    job = Made({"seed": "1"}, 1.0, None, RED, prompts=ids, ids=ids, side=8)
    found = swept_into(tmp_path, [job])
    names = [row[3][0][3] for row in data_of(tmp_path)["rows"]]
    assert names == [f"comparison_pictures/0/{number}.png" for number in range(3)]
    assert {(tmp_path / name).read_bytes() for name in names} == {png(RED, 8)}
    (one,) = pictures(Grid.of(found), tmp_path, most_copied=2 * len(png(RED, 8)))
    assert (len(one.small), list(one.files)) == (3, ["a/b", "c"])


def test_of_a_bucket_no_more_pictures_are_fetched_than_there_is_room_for(tmp_path, s3):
    ids = [str(place) for place in range(AT_ONCE + 8)]
    found = swept_into(
        tmp_path, [Made({"seed": n}, 1.0, None, RED, prompts=ids, ids=ids, side=8) for n in "12"]
    )
    bucket = s3.bucket()
    jobs = []
    for job in found.jobs:
        url = f"{bucket}/{job.number}"
        [part] = (job.folder / "table").iterdir()
        Store(url).write("table/part.parquet", part.read_bytes())
        jobs.append(replace(job, summary={**job.summary, "store": url}))
    each = pictures(Grid.of(replace(found, jobs=jobs)), tmp_path / "page", most_copied=4 * 100)
    assert [(len(one.small), len(one.files)) for one in each] == [(AT_ONCE, 2)] * 2


def test_a_page_has_the_first_rows_of_a_run_of_very_many(tmp_path):
    ids = [str(place) for place in range(12)]
    jobs = [Made({"seed": n}, 1.0, None, RED, prompts=ids, ids=ids, side=8) for n in "12"]
    grid = Grid.of(swept_into(tmp_path, jobs), most=10)
    assert ([line.key for line in grid.lines], grid.left_out) == (ids[:5], 7)


def test_repeats_stand_side_by_side_once(tmp_path):
    found = swept_into(tmp_path, [JOBS[0], JOBS[3], JOBS[0], JOBS[3]])
    assert [job.number for job in Grid.of(found).jobs] == [0, 1]
    assert [entry.numbers for entry in found.entries] == [[0, 2], [1, 3]]


def test_names_that_no_address_takes_as_they_are(tmp_path):
    job = Made({"seed": "1"}, 1.0, None, RED, prompts=["x"], ids=["a b#1?%20"], beside=True, side=8)
    swept_into(tmp_path, [job])
    assert data_of(tmp_path)["rows"][0][3][0][3] == "0/images/a%20b%231%3F%2520.png"


def categorised(scores: dict[str, list[float | None]], kinds: list[str | None]) -> list[Made]:
    prompts = [f"p{place}" for place in range(len(kinds))]
    return [
        Made({"seed": name}, 1.0, None, RED, prompts=prompts, scores=each, categories=kinds, side=8)
        for name, each in scores.items()
    ]


def test_each_category_has_its_figures(tmp_path):
    kinds = ["easy"] * 20 + ["hard"] * 20 + [None]
    noise = [0.01 * (place % 3) for place in range(20)]
    better = [0.5 + one for one in noise]
    jobs = categorised({"1": [0.25] * 20 + [0.5] * 21, "2": better + [0.5] * 20 + [None]}, kinds)
    found = swept_into(tmp_path, jobs)
    (table,) = tables.categories(found)
    assert [(row["name"], row["count"]) for row in table["rows"]] == [("easy", 20), ("hard", 20)]
    assert [[cell["up"] for cell in row["cells"]] for row in table["rows"]] == [[0, 1], [0, 0]]
    assert table["rows"][0]["cells"][1]["value"].startswith("0.509 (0.50")


def test_shares_of_a_category_have_wilsons_interval(tmp_path):
    jobs = categorised({"1": [1.0, 0.0, 1.0, 1.0], "2": [0.0] * 4}, ["all"] * 4)
    (table,) = tables.categories(swept_into(tmp_path, jobs))
    first, second = table["rows"][0]["cells"]
    assert first["value"] == "0.75 (0.301 to 0.954)"
    assert second["value"] == "0 (0 to 0.49)"


def test_several_scores_stand_beside_each_other_and_one_decides(tmp_path):
    figures = {"mean": 0.5, "std": 0.1, "count": 2}
    scores = {"scores": {"clip": figures, "sharp": figures}}
    columns = {"score_columns": {"clip": "score", "sharp": "score_sharp"}}
    jobs = [
        Made(
            *({"seed": n}, 1.0, 0.5, RED),
            columns={"score_sharp": sharp},
            more=scores | columns,
            side=8,
        )
        for n, sharp in (("1", [0.25, 0.5]), ("2", [0.75, 0.5]))
    ]
    found = swept_into(tmp_path, jobs, Sweep("score", "score_sharp"))
    assert [one.measure for one in found.verdicts] == ["sharp", "images_per_s", "clip"]
    assert [s.value.value for s in found.verdict.standings] == [0.625, 0.375]
    data = data_of(tmp_path)
    assert data["scores"] == ["sharp", "clip"]
    assert [cell[4] for cell in data["rows"][0][3]] == [[0.25, 0.5], [0.75, 0.5]]


def test_scores_that_are_no_numbers_are_left_out(tmp_path):
    nan = float("nan")
    jobs = [
        Made({"seed": "1"}, 1.0, 0.5, RED, prompts="abc", scores=[0.5, nan, None], side=8),
        Made({"seed": "2"}, 1.0, 0.5, RED, prompts="abc", scores=[0.75, 0.5, 0.5], side=8),
    ]
    for job in jobs:
        job.more = {"scores": {"clip": {"mean": 0.5, "std": 0.1, "count": 1}}}
    found = swept_into(tmp_path, jobs, Sweep("score"))
    assert found.verdict.remarks == ["scores compared on the 1 of 3 rows that every job has"]
    assert [s.value.value for s in found.verdict.standings] == [0.75, 0.5]
    assert "NaN" not in (tmp_path / comparison.PAGE).read_text()


def test_a_search_says_which_job_it_takes_for_the_best(tmp_path):
    found = swept_into(tmp_path, [JOBS[0], JOBS[3]])
    assert replace(found, sweeper="optuna").said_beside == [f"optuna's best is {JOBS[0].label}"]
    close = replace(JOBS[3], rate=7.9)
    found = swept_into(tmp_path, [JOBS[0], close])
    said = replace(found, sweeper="optuna").said_beside
    assert said == [f"optuna's best is {JOBS[0].label}, without a test"]


def test_what_is_on_the_front_is_said(folder):
    found = comparison.collect(folder, Sweep())
    assert set(found.fronts["clip"]) == {JOBS[0].label, JOBS[1].label, JOBS[3].label}
    assert any(said.startswith("Best trade-offs of speed and clip") for said in found.besides())
    assert "Best trade-offs of speed and clip" in found.note()


def test_a_busy_machine_is_said(tmp_path):
    busy = replace(JOBS[0], more={"machine": {"busy": "others used 1.2 of 2 CPUs"}})
    found = swept_into(tmp_path, [busy, JOBS[3]])
    assert "the machine was busy: others used 1.2 of 2 CPUs in job 0" in found.headline()


@pytest.fixture
def page(browser, folder) -> Iterator:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    opened.goto((folder / comparison.PAGE).as_uri())
    yield opened
    opened.close()
    assert errors == []


def column(page, name: str) -> list[str]:
    heads = page.locator("#jobs th").all_inner_texts()
    place = [head.strip(" ▲▼") for head in heads].index(name)
    cells = page.locator(f"#jobs tbody td:nth-child({place + 1})").all_inner_texts()
    return [cell.partition("\n")[0] for cell in cells]


@pytest.mark.browser
def test_the_table_sorts_by_numbers_and_texts_with_gaps_last(page):
    head = page.locator("#jobs th button")
    assert column(page, "model.steps") == ["2", "16", "0", "4"]
    head.filter(has_text="model.steps").click()
    assert column(page, "model.steps") == ["0", "2", "4", "16"]
    head.filter(has_text="pictures/s").click()
    assert column(page, "pictures/s, steady") == ["1", "4", "8", "–"]
    head.filter(has_text="pictures/s").click()
    assert column(page, "pictures/s, steady") == ["8", "4", "1", "–"]
    head.filter(has_text="llm").click()
    assert column(page, "llm")[-1] == "tiny"
    assert page.inner_text("#jobs tr.best td") == "0"


@pytest.mark.browser
def test_the_charts_show_every_finished_job_by_what_is_chosen(page):
    dots = page.locator("#swept-chart .dot")
    assert dots.count() == 3
    places = {dot.get_attribute("data-job"): dot.bounding_box() for dot in dots.all()}
    assert places["0"]["x"] < places["3"]["x"] < places["1"]["x"]  # 2, 4 and 16 steps
    assert places["0"]["y"] < places["3"]["y"] < places["1"]["y"]  # 8, 4 and 1 pictures/s
    names = page.locator("#swept-chart .name").all_text_contents()
    assert set(names) == {"2, none", "16, none", "4, tiny"}
    page.select_option("#x", "llm")
    page.select_option("#y", "clip")
    assert "none" in page.locator("#swept-chart .tick").all_text_contents()
    page.locator('#swept-chart [data-job="3"]').click()
    assert page.inner_text("tr.picked td") == "3"
    assert page.locator("#front-chart .dot").count() == 3
    assert page.locator("#spread-chart .hill").count() == 3
    assert page.locator("#stages thead th").all_inner_texts() == ["job", "model"]
    assert page.locator("#stages .bar").all_inner_texts() == ["50 %"] * 3


@pytest.mark.browser
def test_a_click_enlarges_and_the_slider_goes_between_two_jobs(page):
    cells = page.locator("#grid article").first.locator("figure")
    assert [text.split("\n")[0] for text in cells.all_inner_texts()][2] == "no picture"
    small = cells.first.locator("img").bounding_box()["width"]
    page.fill("#size", "256")
    assert cells.first.locator("img").bounding_box()["width"] > small
    cells.first.locator("button").click()
    part = {name: page.locator(f'[data-part="{name}"]') for name in "a b slide image-a".split()}
    assert part["image-a"].bounding_box()["width"] > 256
    assert not part["slide"].is_visible()
    assert page.inner_text('[data-part="text-a"]') == "red cat"
    part["b"].select_option(label="model.steps=16, llm=none")
    part["slide"].fill("25")
    assert page.inner_text('[data-part="text-b"]') == "green cat"
    box = page.locator(".stage").bounding_box()
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    middle = box["y"] + box["height"] / 2
    left, right = (
        shot.getpixel((int(box["x"] + box["width"] * at), int(middle))) for at in (0.2, 0.3)
    )
    assert left[0] > 200 > left[1] and right[1] > 200 > right[0]
    page.click('[data-part="down"]')
    assert page.inner_text('[data-part="text-b"]') == ATTACK
    part["b"].select_option(label="model.steps=4, llm=tiny")
    assert page.inner_text('[data-part="meta-b"]') == "no picture"
    page.click('#view [data-part="close"]')
    assert not page.locator("#view").is_visible()


@pytest.mark.browser
def test_it_fits_a_phone(page, screenshot):
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 390
    heads = page.locator("#jobs th button")
    assert min(head.bounding_box()["height"] for head in heads.all()) >= 32
    page.locator("#grid button").first.click()
    assert page.evaluate("document.querySelector('#view').scrollWidth") <= 390
    page.click('#view [data-part="close"]')
    page.get_by_text("Vote blindly").click()
    assert page.evaluate("document.querySelector('#ballot').scrollWidth") <= 390
    screenshot(page, "comparison_phone")


@pytest.mark.browser
def test_what_jobs_and_prompts_say_cannot_run(page):
    assert page.title().startswith("Sweep ")
    assert ATTACK in page.inner_text("#jobs")
    assert ATTACK in page.inner_text("#grid")
    assert page.locator("script").count() == 2
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.browser
def test_values_of_a_sweep_cannot_run_either(browser, tmp_path):
    link = "javascript:document.title='broken in'"
    jobs = [
        Made({ATTACK: link}, 2.0, 0.1, RED, (link, ATTACK), categories=[ATTACK, link]),
        Made({ATTACK: ATTACK}, 1.0, 0.2, BLUE),
    ]
    swept_into(tmp_path, jobs)
    page = browser.new_page()
    page.goto((tmp_path / comparison.PAGE).as_uri())
    assert page.locator("#swept-chart .dot").count() == 2
    page.locator("#grid button").first.click()
    assert page.inner_text('[data-part="text-a"]') == link
    assert page.title().startswith("Sweep ")
    assert page.locator("a, iframe, object, form, script").count() == 2
    page.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Two jobs of sixty rows, whose pictures lie beside the page; b is better in the last rows."""
    made = tmp_path_factory.mktemp("many")
    ids = [str(place) for place in range(60)]
    ups = {"a": [0.5] * 60, "b": [0.5 + (place - 30) / 100 for place in range(60)]}
    swept_into(
        made,
        [
            Made({"seed": name}, 1.0, None, color, ids, scores=ups[name], ids=ids, beside=True)
            for name, color in (("a", RED), ("b", BLUE))
        ],
    )
    return made


@pytest.mark.browser
def test_all_rows_are_there_page_by_page_and_by_the_difference_of_two_jobs(browser, many):
    page = browser.new_page()
    page.goto((many / comparison.PAGE).as_uri())
    keys = page.locator("#grid h3 small")
    assert keys.count() == 24
    assert page.inner_text("#place") == "60 rows, page 1 of 3"
    page.click("#later")
    page.click("#later")
    assert keys.count() == 12
    page.select_option("#order", "1")  # where A is most below B
    assert keys.first.inner_text() == "59 · A − B -0.29"
    page.select_option("#order", "-1")
    assert keys.first.inner_text() == "0 · A − B +0.3"
    assert page.locator("#grid figcaption b").all_inner_texts()[:2] == ["0.5", "0.2"]
    page.fill("#search", "base 17 ")
    assert [text.split(" · ")[0] for text in keys.all_inner_texts()] == ["17"]
    page.close()


@pytest.mark.browser
def test_a_picture_is_shown_in_full_where_its_file_is(browser, many):
    page = browser.new_page()
    page.goto((many / comparison.PAGE).as_uri())
    page.locator("#grid button").first.click()
    image = page.locator('[data-part="image-a"]')
    expect(image).to_have_attribute("src", "0/images/0.png")
    page.keyboard.press("z")
    expect(page.locator('[data-part="sheet"]')).to_have_css("width", "600px")
    (many / "0" / "images" / "1.png").rename(many / "gone.png")
    page.keyboard.press("ArrowDown")
    expect(image).to_have_attribute("src", re.compile("^data:image/webp"))
    page.close()


def test_a_mean_of_probabilities_and_a_difference_of_two_stay_within_what_can_be(tmp_path):
    """In the verdict, by category, and in the table of jobs."""
    probabilities = {"1": [0.0] + [0.02] * 11, "2": [0.1] + [0.99] * 11}
    jobs = categorised(probabilities, ["all"] * 12)
    for job, each in zip(jobs, probabilities.values(), strict=True):
        said = {"mean": sum(each) / 12, "std": 0.3, "count": 12}
        job.more = {"scores": {"clip": said}, "score_limits": {"clip": [0.0, 1.0]}}
    found = swept_into(tmp_path, jobs, Sweep("score"))
    low, high = (s.value for s in sorted(found.verdict.standings, key=lambda s: s.value.value))
    assert 0 <= low.low < low.value and high.value < high.high <= 1
    (against,) = (s.against for s in found.verdict.standings if s.against)
    assert against.interval.high == 1
    (table,) = tables.categories(found)
    assert float(table["rows"][0]["cells"][1]["value"].rpartition(" to ")[2].rstrip(")")) <= 1
    limits = [tables.job(found, job)["limits"]["score clip"].split(" to ") for job in found.jobs]
    assert all(0 <= float(end) <= 1 for ends in limits for end in ends)
