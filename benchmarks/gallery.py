"""How soon a gallery, or a comparison of jobs, is there in Chromium, and how fast it answers.

    python benchmarks/gallery.py [--rows 10000] [--repeats 3]

A run draws flat pictures of 320x320 pixels (`model=noop`), of a table with numbers, columns of few
values and texts; a sweep draws a tenth of these rows in four jobs, scores them, and gets pictures
with something in them, for its page holds small ones. The page is opened from its file, in a new
tab five times; the figures are medians. `open_ms` is from the address to the last row listed,
`painted_ms` until the pictures of the first screen are there; `search_ms`, `filter_ms` and
`order_ms` are the longest of several, each until what it changed is laid out. `made_s` is what the
page cost at the end of the run, or of the sweep: all that is concluded from its jobs too.
`beside_mb` is what lies beside it but the pictures, and the page itself. Chromium is on the
path, or in CHROMIUM.
"""

from __future__ import annotations

import csv
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common import Benchmark, Figures, Limit, arguments, run
from pictures import done

SIDE = 320
OPENED = 5
COATS = ("red hat", "blue scarf", "<script>alert(1)</script>")
ACTS = """(acts) => {
  const found = {};
  for (const [name, selector, chosen, kind] of acts) {
    const field = document.querySelector(selector), options = [...(field.options ?? [])];
    const option = options[chosen] ?? options.find((one) => one.text === chosen);
    const from = performance.now();
    field.value = option?.value ?? chosen;
    field.dispatchEvent(new Event(kind, { bubbles: true }));
    document.body.offsetHeight;
    found[name] = Math.max(found[name] ?? 0, performance.now() - from);
  }
  return found;
}"""
PAINTED = """[...document.querySelectorAll('.card img, .cells img')].every(
  (image) => image.complete && image.naturalWidth > 0)"""
JOBS, DIFFERENT = 4, 64


@dataclass(frozen=True)
class Page:
    """What is done on a page, [figure, field, what is chosen there, event]; `ready` is said by the
    page's own script once all rows are listed."""

    ready: str
    acts: Sequence[tuple[str, str, str | int, str]]


SEARCHES = [("search_ms", "#search", words, "input") for words in ("fox", "a fox 7", "zebra", "")]
GALLERY = Page(
    "typeof all === 'object' && inOrder.length === {rows}",
    [
        *SEARCHES,
        ("filter_ms", "#by", "=coat", "change"),
        *(("filter_ms", ".filter select", place, "input") for place in range(4)),
        *(("order_ms", "#order", f"{end} weight first", "change") for end in ("Most", "Least")),
    ],
)
COMPARISON = Page(
    "typeof shown === 'object' && shown.length === {rows} && find('grid').children.length > 0",
    [
        *SEARCHES,
        *(("order_ms", "#order", place, "change") for place in (1, 2)),
        *(("order_ms", f"#{side}", job, "change") for job in range(JOBS) for side in "ab"),
        ("order_ms", "#order", 0, "change"),
    ],
)


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=10_000)
    args = parser.parse_args()
    rows = 300 if args.tiny else args.rows
    name, sweep = f"{rows:,} pictures", f"{rows // 10:,} rows of {JOBS} jobs"
    benchmark = Benchmark(
        name="gallery",
        question="How soon is a gallery or a comparison there, and how fast does it answer?",
        variants={name: partial(gallery, rows), sweep: partial(comparison, rows // 10)},
        limits=(
            Limit("ms until all rows are listed", lambda r: r[name]["open_ms"], at_most=2000),
            Limit("ms of a search", lambda r: r[name]["search_ms"], at_most=100),
            Limit("ms of a filter", lambda r: r[name]["filter_ms"], at_most=100),
            Limit("ms of another order", lambda r: r[name]["order_ms"], at_most=100),
            Limit(
                "ms until a comparison's rows are listed",
                lambda r: r[sweep]["open_ms"],
                at_most=2000,
            ),
            Limit(
                "ms of another order of a comparison", lambda r: r[sweep]["order_ms"], at_most=200
            ),
        ),
        settings={"rows": rows, "side": SIDE},
    )
    run(benchmark, args)


def gallery(rows: int, folder: Path) -> Figures:
    """The figures of the gallery of a run of `rows` rows, made in `folder`."""
    out = folder / "out"
    draw(rows, folder, "scorer=none", f"hydra.run.dir={out}", f"sink.gallery_images={rows}")
    beside = [path for path in out.glob("gallery/**/*") if path.is_file()]
    beside += [out / "gallery.html", *out.glob("thumbnails/*")]
    seen = opened(out / "gallery.html", GALLERY, rows)
    return {**seen, "made_s": made(out, rows), "beside_mb": megabytes(beside)}


def comparison(rows: int, folder: Path) -> Figures:
    """The figures of the page of a sweep of JOBS jobs of `rows` rows, made in `folder`."""
    from imagepipe.config import Sweep
    from imagepipe.reports import comparison as page

    out = folder / "out"
    seeds = ",".join(map(str, range(JOBS)))
    draw(rows, folder, "-m", "scorer=tiny_clip", f"seed={seeds}", f"hydra.sweep.dir={out}")
    fill(list(out.glob("*/images/*.png")))
    began = time.perf_counter()
    page.write(out, Sweep())
    took = time.perf_counter() - began
    seen = opened(out / page.PAGE, COMPARISON, rows)
    return {**seen, "made_s": took, "beside_mb": megabytes([out / page.PAGE])}


def draw(rows: int, folder: Path, *typed: str) -> None:
    """A run, or a sweep, over a table of `rows` rows, made in `folder`."""
    with (folder / "table.csv").open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["id", "animal", "coat", "weight", "note"])
        for n in range(rows):
            animal = ("cat", "dog", "fox", "owl")[n % 4]
            lines.writerow(
                [n, animal, COATS[n % 3], n * 37 % 1000 / 10, f"note {n} " + "word " * 20]
            )
    table = ["dataset=csv", f"dataset.path={folder}/table.csv", "dataset.id=id"]
    table += ['dataset.prompt="a {animal} with a {coat}"', "llm=none", "tracking=none"]
    size = ["model=noop", f"model.width={SIDE}", f"model.height={SIDE}"]
    done([sys.executable, "-m", "imagepipe", *typed, *table, *size], folder)


def fill(files: Sequence[Path]) -> None:
    """Coloured clouds, some of which are alike, in the place of flat pictures."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number, file in enumerate(files):
        if number < DIFFERENT:
            cloud = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
            cloud.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, compress_level=1)
        else:
            file.write_bytes(files[number % DIFFERENT].read_bytes())


def megabytes(files: Iterable[Path]) -> float:
    return sum(path.stat().st_size for path in files) / 1e6


def made(out: Path, most: int) -> float:
    """How long it takes to write the page of a run again."""
    from imagepipe.reports import gallery
    from imagepipe.sink import results
    from imagepipe.store import Store

    store, began = Store(str(out)), time.perf_counter()
    shown = results.to_show(store, "id", gallery.SAMPLE)
    rows = gallery.rows(out, store, ["id"], None)
    gallery.write(rows, shown, most, gallery.Heading("again", {}))
    return time.perf_counter() - began


def opened(file: Path, page: Page, rows: int) -> Figures:
    """What a new tab takes to open the page, and to answer; raises where its console says
    anything."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = [_tab(browser, file, page, rows) for _ in range(OPENED)]
        browser.close()
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def _tab(browser: Any, file: Path, page: Page, rows: int) -> Figures:
    said: list[str] = []
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    began = time.perf_counter()
    tab.goto(file.as_uri(), wait_until="commit")
    _until(tab, page.ready.format(rows=rows))
    listed = time.perf_counter() - began
    _until(tab, PAINTED)
    painted = time.perf_counter() - began
    figures: Figures = tab.evaluate(ACTS, page.acts)
    tab.close()
    if said:
        raise SystemExit(f"the console says: {said}")
    return {"open_ms": 1000 * listed, "painted_ms": 1000 * painted, **figures}


def _until(tab: Any, true: str) -> None:
    """The browser's own way to wait makes code of a text, which the page's policy forbids."""
    while not tab.evaluate(true):
        time.sleep(0.01)


if __name__ == "__main__":
    main()
