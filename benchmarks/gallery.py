"""How soon a gallery is there, and how fast it answers, in Chromium.

    python benchmarks/gallery.py [--rows 10000] [--repeats 3]

A run draws flat pictures of 320x320 pixels (`model=noop`), of a table with numbers, columns of
few values and texts. Its `gallery.html` is opened from the file, in a new tab five times; the
figures are medians. `open_ms` is from the address to the last row listed, `painted_ms` until the
pictures of the first screen are there; `search_ms`, `filter_ms` and `order_ms` are the longest of
several, each until what it changed is laid out. `made_s` is what the page cost at the end of the
run, `beside_mb` what lies beside it but the pictures. Chromium is on the path, or in CHROMIUM.
"""

from __future__ import annotations

import csv
import os
import shutil
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from common import Benchmark, Figures, Limit, arguments, run
from pictures import done

SIDE = 320
OPENED = 5
COATS = ("red hat", "blue scarf", "<script>alert(1)</script>")
ACTS = """(given) => {
  const found = {};
  const act = (name, id, value, kind) => {
    const field = typeof id === "string" ? document.getElementById(id) : id;
    const from = performance.now();
    field.value = value;
    field.dispatchEvent(new Event(kind, { bubbles: true }));
    document.body.offsetHeight;
    found[name] = Math.max(found[name] ?? 0, performance.now() - from);
  };
  for (const words of ["fox", "a fox 77", "zebra", ""]) act("search_ms", "search", words, "input");
  act("filter_ms", "by", "=coat", "change");
  const list = document.querySelector(".filter select");
  for (const option of [...list.options].slice(0, 4)) act("filter_ms", list, option.value, "input");
  for (const label of given) {
    const option = [...document.getElementById("order").options].find((one) => one.text === label);
    act("order_ms", "order", option.value, "change");
  }
  return found;
}"""
READY = "typeof all === 'object' && inOrder.length === {rows}"
PAINTED = """[...document.querySelectorAll('.card img')].every(
  (image) => image.complete && image.naturalWidth > 0)"""


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=10_000)
    args = parser.parse_args()
    rows = 300 if args.tiny else args.rows
    name = f"{rows:,} pictures"
    benchmark = Benchmark(
        name="gallery",
        question="How soon is a gallery there, and how fast does it answer?",
        variants={name: partial(gallery, rows)},
        limits=(
            Limit("ms until all rows are listed", lambda r: r[name]["open_ms"], at_most=2000),
            Limit("ms of a search", lambda r: r[name]["search_ms"], at_most=100),
            Limit("ms of a filter", lambda r: r[name]["filter_ms"], at_most=100),
            Limit("ms of another order", lambda r: r[name]["order_ms"], at_most=100),
        ),
        settings={"rows": rows, "side": SIDE},
    )
    run(benchmark, args)


def gallery(rows: int, folder: Path) -> Figures:
    """The figures of the gallery of a run of `rows` rows, made in `folder`."""
    with (folder / "table.csv").open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["id", "animal", "coat", "weight", "note"])
        for n in range(rows):
            animal = ("cat", "dog", "fox", "owl")[n % 4]
            lines.writerow(
                [n, animal, COATS[n % 3], n * 37 % 1000 / 10, f"note {n} " + "word " * 20]
            )
    typed = ["dataset=csv", f"dataset.path={folder}/table.csv", "dataset.id=id"]
    typed += ['dataset.prompt="a {animal} with a {coat}"', "model=noop", f"model.width={SIDE}"]
    typed += [f"model.height={SIDE}", "llm=none", "scorer=none", "tracking=none"]
    typed += [f"hydra.run.dir={folder}/out", f"sink.gallery_images={rows}"]
    done([sys.executable, "-m", "imagepipe", *typed], folder)
    out = folder / "out"
    beside = [path for path in out.glob("gallery/**/*") if path.is_file()]
    beside += [out / "gallery.html", *out.glob("thumbnails/*")]
    megabytes = sum(path.stat().st_size for path in beside) / 1e6
    return {**opened(out / "gallery.html", rows), "made_s": made(out, rows), "beside_mb": megabytes}


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


def opened(page: Path, rows: int) -> Figures:
    """What a new tab takes to open the page, and to answer; raises where its console says
    anything."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = [_tab(browser, page, rows) for _ in range(OPENED)]
        browser.close()
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def _tab(browser: Any, page: Path, rows: int) -> Figures:
    said: list[str] = []
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    began = time.perf_counter()
    tab.goto(page.as_uri(), wait_until="commit")
    _until(tab, READY.format(rows=rows))
    listed = time.perf_counter() - began
    _until(tab, PAINTED)
    painted = time.perf_counter() - began
    figures: Figures = tab.evaluate(ACTS, ["Most weight first", "Least weight first"])
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
