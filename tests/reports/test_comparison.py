"""The page and the sheet that hold the jobs of a sweep side by side."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imagepipe.config import Sweep
from imagepipe.reports import comparison
from imagepipe.reports.comparison import grid as grids
from imagepipe.reports.comparison import page as pages
from imagepipe.reports.comparison.jobs import front
from imagepipe.reports.statistics import BLOCKS
from imagepipe.sink.results import Picture

ATTACK = "</script><script>document.title='broken in'</script><img src=x onerror=alert(1)>"
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@dataclass
class Made:
    """A job as a run leaves it: `color` null draws nothing and fails."""

    swept: dict[str, str]
    rate: float | None = None
    score: float | None = None
    color: tuple[int, int, int] | None = None
    prompts: tuple[str, ...] = ("a cat", "a dog")
    steady: bool = True

    @property
    def label(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.swept.items())

    def write(self, folder: Path, number: int) -> None:
        summary = {
            "status": "FINISHED" if self.color else "FAILED",
            "trouble": None if self.color else f"no such thing: {ATTACK}",
            "sweep": {"name": "s", "job": number, "label": self.label, "swept": self.swept},
        }
        if self.color:
            rates = {"steady": self.rate if self.steady else None, "end_to_end": self.rate}
            if self.steady and self.rate:
                rates |= {"blocks": [[8 * self.rate, 8.0 + place / 100] for place in range(BLOCKS)]}
            stages = {"model": {"utilisation": 0.5}, "write": {"utilisation": None}}
            scores = {} if self.score is None else {"clip": {"mean": self.score, "std": 0.1}}
            summary |= {"images_per_s": rates, "stages": stages, "scores": scores}
            summary |= {"rows_for_interval": 304}
            summary |= {"samples": {"id": "id", "ids": ["r0", "r1"]}, "pictures": 1234, "failed": 0}
            self._table(folder / str(number) / "table")
        (folder / str(number)).mkdir(exist_ok=True)
        (folder / str(number) / "summary.json").write_text(json.dumps(summary))

    def _table(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        buffer = io.BytesIO()
        Image.new("RGB", (600, 600), self.color).save(buffer, "PNG")
        rows = [
            {
                "id": f"r{place}",
                "base_prompt": f"base {place} {ATTACK}",
                "prompt": prompt,
                "seed": 7 + place,
                "score": self.score,
                "image": {"bytes": buffer.getvalue(), "path": None},
            }
            for place, prompt in enumerate(self.prompts)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / "part.parquet")


JOBS = [
    Made({"model.steps": "2", "llm": "none"}, 8.0, 0.20, RED, ("red cat", "red dog")),
    Made({"model.steps": "16", "llm": "none"}, 1.0, 0.40, GREEN, ("green cat", ATTACK)),
    Made({"model.steps": "0", "llm": "none"}),
    Made({"model.steps": "4", "llm": "tiny"}, 4.0, 0.10, BLUE, ("blue cat",)),
]


def swept_into(folder: Path, jobs: list[Made], aim: Sweep | None = None) -> comparison.Comparison:
    for number, job in enumerate(jobs):
        job.write(folder, number)
    return comparison.write(folder, aim or Sweep())


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


def test_the_page_says_how_sure_each_figure_is(folder, browser):
    page = browser.new_page()
    page.goto((folder / comparison.PAGE).as_uri())
    rows = [row.split("\t") for row in page.inner_text("#verdict tbody").splitlines()]
    page.close()
    assert [row[0] for row in rows] == [JOBS[place].label for place in (0, 3, 1)]
    assert rows[0][1].startswith("7.98 (")
    assert rows[0][2:] == ["the baseline", ""]
    assert rows[1][2].startswith("0.50 (")
    assert [row[3] for row in rows[1:]] == ["would be found again"] * 2


def test_a_best_score_is_that_of_the_rows_that_all_have(folder):
    scored = comparison.collect(folder, Sweep("score"))
    assert scored.verdict.named is None  # of one row
    assert [s.value.value for s in scored.verdict.standings] == [0.4, 0.2, 0.1]
    assert scored.verdict.remarks == ["scores compared on the 1 of 2 rows that every job has"]


def test_a_job_too_short_for_a_rate_is_not_ranked(tmp_path):
    short = Made({"seed": "2"}, 9.0, None, GREEN, steady=False)
    found = swept_into(tmp_path, [Made({"seed": "1"}, 3.0, None, RED), short])
    assert found.kind == "end_to_end"
    said = "(too short for a rate with an interval: seed=2; about limit=304 would do)"
    assert found.headline().endswith(said)
    assert found.numbers() == {"jobs": 2, "jobs_finished": 2}


@pytest.mark.parametrize("jobs", [[], [Made({"seed": "1"})], [Made({}, 1.0, None, RED)]])
def test_there_is_a_page_whatever_the_jobs_left(tmp_path, jobs: list[Made]):
    found = swept_into(tmp_path, jobs)
    assert len(found.jobs) == len(jobs)
    assert (tmp_path / comparison.PAGE).stat().st_size > 1000
    assert (tmp_path / comparison.SHEET).exists() == any(job.color for job in jobs)


def test_a_front_has_the_points_that_none_beats_in_both():
    assert front([(8.0, 0.2), (1.0, 0.4), (4.0, 0.1), (2.0, 0.2)]) == [1, 0]
    assert front([(1.0, 1.0), (1.0, 1.0), (1.0, 0.5)]) in ([0, 1], [1, 0])
    assert front([]) == []


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


def test_a_large_sweep_makes_a_page_that_still_loads(tmp_path):
    noise = Image.effect_noise((512, 512), 40).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG", compress_level=1)
    picture = Picture("r", "b", "p", 1, buffer.getvalue())
    found = comparison.Comparison([], Sweep())

    def size(pictures: int) -> int:
        row = grids.Row("r", [picture] * pictures)
        return len(pages.html(found, grids.Grid([row]), "t"))

    assert size(100) < 12e6  # of the worst that a codec can be given
    assert size(100) / 100 < size(4) / 4 / 1.5


@pytest.fixture
def page(browser, folder) -> Iterator:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto((folder / comparison.PAGE).as_uri())
    yield opened
    opened.close()
    assert errors == []


def column(page, name: str) -> list[str]:
    heads = page.locator("#jobs th").all_inner_texts()
    place = [head.strip(" ▲▼") for head in heads].index(name)
    return page.locator(f"#jobs tbody td:nth-child({place + 1})").all_inner_texts()


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
    assert page.locator("#legend li").all_inner_texts() == ["llm=none", "llm=tiny"]
    page.select_option("#x", "llm")
    page.select_option("#y", "score clip")
    assert "none" in page.locator("#swept-chart .tick").all_text_contents()
    page.locator('#swept-chart [data-job="3"]').click()
    assert page.inner_text("tr.picked td") == "3"


@pytest.mark.browser
def test_the_front_joins_the_jobs_that_none_beats(page):
    assert page.locator("#front-chart .dot").count() == 3
    ends = page.get_attribute("#front-chart polyline", "points").split()
    dots = {
        dot.get_attribute("data-job"): f"{dot.get_attribute('cx')},{dot.get_attribute('cy')}"
        for dot in page.locator("#front-chart .dot").all()
    }
    assert ends == [dots["1"], dots["0"]]


@pytest.mark.browser
def test_the_stages_say_how_busy_they_were(page):
    assert page.locator("#stages thead th").all_inner_texts() == ["job", "model"]
    assert page.locator("#stages .bar").all_inner_texts() == ["50 %"] * 3


@pytest.mark.browser
def test_a_click_enlarges_and_the_slider_goes_between_two_jobs(page):
    cells = page.locator("#grid tbody tr").first.locator("td")
    assert cells.all_inner_texts() == ["", "", "no picture", ""]
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
    page.click('[data-part="close"]')
    assert not page.locator("#view").is_visible()


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
        Made({ATTACK: link}, 2.0, 0.1, RED, (link, ATTACK)),
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
