"""What a person sees in MLflow: `python -m imagepipe.ui` over a sweep, in a real Chromium.

`pytest tests/cli/test_ui.py --screenshots docs` keeps what the browser saw, for the README.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
from helpers.sweeps import finished, marked, recorded
from helpers.waiting import until
from mlflow import MlflowClient
from PIL import Image

from imagepipe.cli.ui import main, store_of
from imagepipe.config import Tracking
from imagepipe.tracking.address import resolve


@dataclass
class Served:
    process: subprocess.Popen
    link: str

    @property
    def base(self) -> str:
        return self.link.partition("/#")[0]


@contextmanager
def ui(folder: Path, *arguments: str) -> Iterator[Served]:
    """The command in `folder`, from its first line until Ctrl-C; leaves no process behind."""
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "imagepipe.ui", "--no-browser", *arguments]
    before = set(folder.iterdir())
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"IMAGEPIPE_TEST": mark},
    ) as process:
        try:
            yield Served(process, process.stdout.readline().strip())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    assert process.returncode == 0
    assert not marked(mark)
    assert set(folder.iterdir()) == before


@pytest.fixture(scope="module")
def served(swept) -> Iterator[Served]:
    with ui(swept.home) as server:
        yield server


@pytest.fixture(scope="module")
def page(browser, served) -> Iterator:
    opened = browser.new_page(viewport={"width": 1860, "height": 960})
    opened.goto(served.link)
    opened.locator('[data-component-id="mlflow.assistant.chat_panel.close"]').click()
    yield opened
    opened.close()


@pytest.fixture
def links(swept, served) -> dict[str, str]:
    """The links that the sweep printed at its end, as this server answers them."""
    lines = dict(line.split(maxsplit=1) for line in swept.said.splitlines() if " http" in line)
    return {name: f"{served.base}/#{link.partition('/#')[2]}" for name, link in lines.items()}


def rates(home: Path, link: str) -> list[float]:
    """Pictures per second of the finished jobs, end to end, in the order that `link` asks for."""
    by, found = finished(recorded(home)[2])
    assert f"orderByKey=metrics.`{by}`" in unquote(link)
    found.sort(key=lambda metrics: metrics[by], reverse=True)
    return [metrics["images_per_s/end_to_end"] for metrics in found]


@pytest.mark.browser
def test_it_opens_at_the_runs_on_this_machine_alone(page, served, swept):
    assert urlsplit(served.link).hostname == "127.0.0.1"
    assert "/#/experiments/1/runs?workflowType=machine_learning" in served.link
    page.wait_for_selector("text=sweep sweep")
    with socket.socket() as other:
        port = urlsplit(served.link).port
        assert other.connect_ex((socket.gethostbyname(socket.gethostname()), port)) or (
            socket.gethostbyname(socket.gethostname()).startswith("127.")
        )


@pytest.mark.browser
def test_the_jobs_stand_with_their_rates_the_best_first(page, links, swept):
    page.goto(links["runs"])
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_placeholder("Search columns").fill("end_to_end")
    node = page.locator('[class*="tree-treenode"]').filter(has_text="images_per_s/end_to_end")
    node.last.locator('[class*="tree-checkbox"]').first.click()
    page.keyboard.press("Escape")
    cells = page.locator('.ag-row [col-id="metrics.`images_per_s/end_to_end`"]')
    cells.nth(3).wait_for()
    texts = cells.evaluate_all(  # the page's order is not the document's
        """cells => cells
            .sort((a, b) => a.getBoundingClientRect().y - b.getBoundingClientRect().y)
            .map(cell => cell.innerText.trim())"""
    )
    shown = [text for text in texts if text not in ("", "-")]
    best_first = rates(swept.home, links["runs"])
    assert [float(cell) for cell in shown] == pytest.approx(best_first, rel=0.01)
    names = page.locator('.ag-row [col-id="attributes.`Run Name`"]').all_inner_texts()
    assert {name.split()[-1] for name in names} == {
        f"model.steps={steps}" for steps in (-1, 1, 2, 4)
    }


@pytest.mark.browser
def test_the_charts_compare_the_rates(page, links, swept, screenshot):
    page.goto(links["charts"])
    page.locator(".bartext").nth(5).wait_for()
    bars = [float(text) for text in page.locator(".bartext").all_text_contents()]
    for rate in rates(swept.home, links["runs"]):  # as the page rounds it
        assert any(bar == pytest.approx(rate, abs=0.0051) for bar in bars), (rate, bars)
    screenshot(page, "mlflow_charts")


# Of the first three pictures, which are there: x, y, width and height in px.
BOXES = (
    "[...document.querySelectorAll('img[src*=table_images]')].slice(0, 3).map((image) =>"
    " image.naturalWidth > 0 ? image.getBoundingClientRect().toJSON() : {width: 0})"
)


@pytest.mark.browser
def test_the_pictures_of_three_runs_stand_side_by_side(page, links, screenshot):
    page.goto(links["pictures"])
    page.get_by_text("A watercolor painting of a cat wearing a red scarf").first.wait_for()
    pictures = page.locator('img[src*="table_images"]')
    pictures.nth(5).wait_for()
    page.wait_for_function(  # the runs come one after another, and move what is there already
        f"() => {{ const boxes = {BOXES};"
        " return boxes.every((box) => box.width > 0 && box.y === boxes[0].y) }"
    )
    boxes = page.evaluate(BOXES)
    assert len({box["x"] for box in boxes}) == 3
    assert max(box["x"] + box["width"] for box in boxes) < page.viewport_size["width"]
    assert len({pictures.nth(place).get_attribute("src") for place in range(3)}) == 3
    screenshot(page, "mlflow_pictures")


@pytest.mark.browser
def test_a_runs_page_says_where_its_folder_is_in_signs_that_can_be_copied(page, served, swept):
    _, _, jobs = recorded(swept.home)
    run = next(run for run in jobs if run.info.status == "FINISHED")
    place = f"{run.info.experiment_id}/runs/{run.info.run_id}"
    page.goto(f"{served.base}/#/experiments/{place}?workflowType=machine_learning")
    said = page.locator("p", has_text="Folder:")
    said.wait_for()
    assert f"Folder: {swept.home}/" in said.inner_text()
    assert "\\" not in said.inner_text()


@pytest.mark.browser
def test_a_job_has_its_gallery_beside_its_pictures(browser, swept):
    folder = swept.folder / "3"
    page = browser.new_page(viewport={"width": 1400, "height": 760})
    page.goto((folder / "gallery.html").as_uri())
    page.click(".card >> nth=0")
    with Image.open(next((folder / "images").iterdir())) as whole:
        width = whole.width
    until(lambda: page.evaluate("document.querySelector('#view img').naturalWidth") == width)
    said = page.locator("#view dl").inner_text()
    assert re.search(r"^steps\n4$", said, re.M) and "model" in said
    page.close()


@pytest.mark.browser
def test_the_report_works_inside_the_artifact_view(page, served, swept, screenshot):
    _, parent, _ = recorded(swept.home)
    place = f"{parent.info.experiment_id}/runs/{parent.info.run_id}/artifacts/comparison.html"
    page.goto(f"{served.base}/#/experiments/{place}?workflowType=machine_learning")
    report = page.frame_locator("iframe")
    report.locator("#swept-chart .dot").nth(2).wait_for()
    steps = report.locator("#jobs tbody td:nth-child(2)")
    assert steps.all_inner_texts() == ["1", "-1", "2", "4"]
    report.locator("#jobs th button").filter(has_text="model.steps").click()
    assert steps.all_inner_texts() == ["-1", "1", "2", "4"]
    report.locator("h1").scroll_into_view_if_needed()
    screenshot(page, "mlflow_report")
    report.locator("#grid button").first.click()
    report.locator('[data-part="b"]').select_option(label="model.steps=4")
    slide = report.locator('[data-part="slide"]')
    slide.wait_for()
    slide.fill("30")
    clip = report.locator('[data-part="image-a"]').evaluate("image => image.style.clipPath")
    assert clip == "inset(0px 70% 0px 0px)"
    screenshot(page, "mlflow_slider")


@pytest.mark.faults
def test_it_serves_a_folder_of_any_name_past_a_proxy_at_the_port_asked_for(tmp_path, monkeypatch):
    """With what a run says at its end. SIGTERM ends it as Ctrl-C does."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    home = tmp_path / "a b#1?%20"
    outputs = home / "outputs"
    outputs.mkdir(parents=True)
    store = resolve(Tracking(name="typed", backend="mlflow"), outputs)
    kept = MlflowClient(store.uri)
    experiment = kept.create_experiment("imagepipe", store.artifacts)
    run = kept.create_run(experiment).info.run_id
    kept.log_text(run, "seed: 0", "config.yaml")
    assert store_of(outputs, None) == store.uri  # without --uri
    said = store.link(experiment, run)
    asked = shlex.split(said.partition("   then ")[0])
    port = free_port()
    with ui(home, *asked[asked.index("--uri") :], "--port", str(port)) as server:
        assert server.link.startswith(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs")
        file = f"{server.base}/get-artifact?path=config.yaml&run_uuid={run}"
        with build_opener(ProxyHandler({})).open(file, timeout=60) as answer:
            assert answer.read() == b"seed: 0"
        server.process.terminate()
        server.process.wait()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert list(tmp_path.iterdir()) == [home]
    assert {path.name for path in outputs.iterdir()} == {"mlflow.db", "mlruns"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """What the command says, typed in `tmp_path`, which has to refuse what is asked."""
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> str:
        assert main(["--no-browser", *arguments]) == 2
        assert not list(tmp_path.glob("ml*"))
        return capsys.readouterr().err

    return said


def test_where_there_are_no_runs_yet_it_says_so(refused):
    assert "--outputs=outputs: holds no runs yet" in refused()
    assert "holds no runs yet (no other.db)" in refused("--uri", "sqlite:///other.db")


def test_a_port_that_is_taken_is_refused(tmp_path, refused):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "mlflow.db").write_bytes(b"")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port={port}: cannot be used (Address already in use" in refused(
            "--port", str(port)
        )
    assert "--port=99999: cannot be used" in refused("--port", "99999")


def test_what_is_no_database_is_refused(tmp_path, refused):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "mlflow.db").write_text("my notes, and no database at all")
    assert "is a file, but not a sqlite database" in refused()
    assert "tracking.uri=ftp://x" in refused("--uri", "ftp://x")
    assert "is a server already" in refused("--uri", "http://127.0.0.1:5000")
