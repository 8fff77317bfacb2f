"""What a person sees: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from imagepipe.config import Config, Dataset, Model, Resources
from imagepipe.reports.job import Job
from imagepipe.reports.notes import before, how_to_go_on, warnings
from imagepipe.reports.progress import Watch
from imagepipe.reports.summary import summarize
from imagepipe.reports.terminal import Progress, print_first, print_header, print_summary
from imagepipe.resources.neighbours import Neighbours
from imagepipe.sink.ledger import Ledger
from imagepipe.sink.lock import RunLock
from imagepipe.sink.metadata import parameters, run_metadata
from imagepipe.sink.resume import Done
from imagepipe.sources import scan
from imagepipe.store import Store
from imagepipe.tracking.tracker import NoTracking


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=160)


def test_a_terminal_gets_one_live_line_with_counts_rate_and_stages():
    out = console(terminal=True)
    with Progress(100, out) as progress:
        progress.update(40, 12.34, {"llm": "64", "model": "48"})
        progress.bar.refresh()
    said = out.file.getvalue()
    assert "40/100" in said
    assert "12.3 pictures/s" in said
    assert "llm 64 | model 48" in said


def test_elsewhere_a_line_every_ten_seconds_and_no_control_codes():
    out = console(terminal=False)
    with Progress(100, out) as progress:
        progress.update(10, 5.0, {"model": "12"})
        assert out.file.getvalue() == ""
        progress.last_line -= 11
        progress.update(20, 5.0, {"model": "24"})
        progress.update(30, 5.0, {"model": "36"})
    (line,) = out.file.getvalue().splitlines()
    assert line.endswith("s: 20 of 100 rows, 5 pictures/s, 16 s left (model 24)")
    assert "\x1b" not in line


def test_a_licence_that_forbids_commercial_use_is_shown():
    out = console(terminal=False)
    model = Model(engine="diffusers", path="a/b", licence="Apache-2.0")
    print_first(out, model)
    assert out.file.getvalue() == ""
    print_first(out, replace(model, licence="Research only", non_commercial=True))
    assert "a/b is for non-commercial use only: Research only" in out.file.getvalue()


def job_of(folder: Path, table: str, model: Model, ledger: Ledger) -> Job:
    (folder / "t.csv").write_text(table)
    data = Dataset(name="t", path=str(folder / "t.csv"), format="csv", id="id", prompt="{what}")
    config = Config(dataset=data, model=model)
    config.llm.engine, config.scorer = "none", {}
    run_lock = RunLock(Store(str(folder)), "claim")
    return Job(
        *(config, folder, scan(data, None), [], Resources(name="cpu"), "", "", ledger),
        *(Watch(1.0), time.time(), None, run_lock, Done()),
    )


def test_a_run_without_pictures_names_no_page_and_no_first_picture(tmp_path: Path):
    noop = Model(name="noop", engine="noop")
    job = job_of(tmp_path, "id,what\n1,a\n2,b\n", noop, Ledger(2, failed=2))
    out = console(terminal=False)
    print_summary(out, job, NoTracking(), summarize(job, NoTracking()))
    said = out.file.getvalue()
    assert "0 in 0.0 s (0 pictures/s)\n" in said
    assert "gallery.html" not in said
    (tmp_path / "gallery.html").write_text("<p>pictures")
    print_summary(out, job, NoTracking(), summarize(job, NoTracking()))
    assert f"look at    {tmp_path / 'gallery.html'}\n" in out.file.getvalue()


def test_what_has_no_effect_is_said_once_with_the_way(tmp_path: Path):
    ledger = Ledger(3, written=3)
    ledger.prompt_signs.update({"(word:1.4)": 2, "[word]": 1, "<lora:name:1>": 1})
    ledger.unscored.update({"ValueError: no": 2})
    model = Model(name="m", engine="diffusers", path="a/b")
    job = job_of(tmp_path, "id,what,seed,Width\n1,a,7,64\n", model, ledger)
    out = console(terminal=False)
    print_header(out, job)
    columns = "columns of the table set nothing: seed, Width. All rows use seed, model.width"
    assert columns in out.file.getvalue()
    summary = summarize(job, NoTracking())
    print_summary(out, job, NoTracking(), summary)
    _, signs, scores = (line for line in out.file.getvalue().splitlines() if "note  " in line)
    assert "(word:1.4) in 2, [word] in 1, <lora:name:1> in 1. Instead: say in words" in signs
    assert signs.count("say in words") == 1 and signs.endswith("add LoRAs with model.loras")
    assert scores.endswith("2 pictures are kept without a score: ValueError: no")
    assert summary["columns_without_effect"] == ["seed", "Width"]
    assert (summary["unscored"], summary["prompt_signs"]["[word]"]) == (2, 1)


@pytest.mark.parametrize(
    ("address", "own", "said"),
    [
        ("auto", True, ["RAY_ADDRESS is not read. To join that cluster: ray.address=auto"]),
        ("", True, []),
        ("10.0.0.5:6379", False, []),
    ],
)
def test_an_address_in_the_environment_is_no_setting(
    tmp_path: Path, address: str, own: bool, said: list[str]
):
    job = job_of(tmp_path, "id,what\n1,a\n", Model(name="noop", engine="noop"), Ledger(1))
    job = replace(job, neighbours=Neighbours(gpus=False) if own else None)
    assert list(before(job, {"RAY_ADDRESS": address})) == said


@pytest.mark.parametrize(
    ("used", "settings", "unused"),
    [
        ({"<cat>": 2, "<old>": 1}, {}, None),
        ({"<cat>": 2, "<old>": 0}, {}, "<old>"),
        ({"<cat>": 0, "<old>": 0}, {}, "<cat>, <old>"),
        ({"<cat>": 1, "<old>": 0}, {"negative_prompt": "<Old>, blurred"}, None),
        ({"<cat>": 1, "<old>": 0}, {"call_kwargs": {"negative_prompt_2": "<old>"}}, None),
        ({"<cat>": 1, "<old>": 0}, {"columns": {"negative_prompt": "what"}}, None),
    ],
)
def test_a_textual_inversion_whose_word_stands_nowhere_is_said(
    tmp_path: Path, used: dict[str, int], settings: dict[str, Any], unused: str | None
):
    ledger = Ledger(3, written=3)
    ledger.inversion_words.update(used)
    model = Model(name="m", engine="diffusers", path="a/b", **settings)
    said = [
        one for one in warnings(job_of(tmp_path, "id,what\n1,a\n", model, ledger)) if "<" in one
    ]
    wanted = f"which then change nothing: {unused}. Write them into dataset.prompt or the cells"
    assert len(said) == (unused is not None) and all(one.endswith(wanted) for one in said)


def test_pictures_of_random_weights_say_so():
    config = Config(model=Model(name="m", engine="diffusers", path="a/b", weights="random"))
    config.llm.name = "none"
    said = run_metadata(config, None)
    assert said["weights"] == "random (noise)"
    assert "Weights: random (noise)" in parameters("a cat", 1, said)
    config.model.weights = "trained"
    assert "weights" not in run_metadata(config, None)


@pytest.mark.parametrize(
    ("failed", "for_good", "written", "says"),
    [
        pytest.param(2, 2, 0, "nothing else is left to do: correct the table", id="by-their-cells"),
        pytest.param(2, 1, 0, "resume=. retry_failed=true", id="one-by-the-model"),
        pytest.param(0, 0, 2, "resume=.", id="none-failed"),
        pytest.param(1, 1, 0, "resume=.", id="under-way"),
    ],
)
def test_only_rows_that_may_be_drawn_are_advised_to_be_tried_again(
    tmp_path: Path, monkeypatch, failed: int, for_good: int, written: int, says: str
):
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(2, failed=failed, failed_for_good=for_good, written=written)
    job = job_of(tmp_path, "id,what\n1,a\n2,b\n", Model(name="noop", engine="noop"), ledger)
    said = how_to_go_on(job)
    assert said.endswith(says) if says.startswith("resume") else said.startswith(says)
    again = "to retry them" in "".join(warnings(job))
    assert again == (failed > for_good)
