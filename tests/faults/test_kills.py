"""`kill -9` at any moment: what is resumed ends as if nothing had happened, each row once."""

from __future__ import annotations

import random
import signal
import time
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import one_session
from helpers.command import GREY_LEVELS, Command, parts, start, summary, table
from PIL import Image

ROWS, IN_A_ROW = 500, 5  # of a run, and how many kills it takes one after another
FAST = ["model=noop", "model.width=16", "model.height=16", "llm=template", "scorer=none"]
BLOCK = 8
BLOCKS = [f"resources.rows_per_block={BLOCK}", f"resources.model.batch_size={BLOCK}"]
QUIET = ["tracking.system_metrics=false", "sink.gallery_images=8"]
VICTIMS = {"driver": None, "actor": "(model)", "raylet": "raylet/raylet"}
PHOTOS = 40  # different ones, of which several rows have each
ENDS = ("written", "failed", "unmatched", "filtered", "already_done")
SECONDS = ("llm_s", "model_s", "scorer_s", "larger_s")  # of no two runs the same
PER_RUN = ("mlflow_run_id",)


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 500 rows, of which some fail and some have no match."""
    folder = tmp_path_factory.mktemp("rows")
    what = ["" if n % 50 == 7 else f"thing {n}" for n in range(ROWS)]
    lines = [f"{n:03d},{text}" for n, text in enumerate(what)]
    (folder / "things.csv").write_text("id,what\n" + "\n".join(lines) + "\n")
    wears = [f"{n:03d},a {n} hat" for n in range(ROWS) if n % 50 != 9]
    (folder / "wears.csv").write_text("id,wears\n" + "\n".join(wears) + "\n")
    return folder


def overrides(rows: Path, limit: int, *more: str) -> list[str]:
    dataset = ["dataset=csv", f"dataset.path={rows / 'things.csv'}", "dataset.id=id"]
    dataset += [f"dataset.join.path={rows / 'wears.csv'}", "dataset.join.on=id"]
    dataset.append('dataset.prompt="{what} and {wears}"')
    return [*dataset, f"limit={limit}", *BLOCKS, *QUIET, *more]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose rows end in every way: of alike photos one is kept, and some are not there."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse.repeat(4, 0).repeat(4, 1)).save(folder / f"{number}.png")
    what = ["" if n % 50 == 7 else f"thing {n}" for n in range(ROWS)]
    photo = ["gone" if n % 50 == 11 else n % PHOTOS for n in range(ROWS)]
    lines = [f"{n:03d},{text},{photo[n]}.png,{n % 10}\n" for n, text in enumerate(what)]
    (folder / "things.csv").write_text("id,what,photo,size\n" + "".join(lines))
    wears = [f"{n:03d},a {n} hat\n" for n in range(ROWS) if n % 50 != 9]
    (folder / "wears.csv").write_text("id,wears\n" + "".join(wears))
    return folder


def pictures(folder: Path) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
    """Pixels and texts of every picture file; fails for one that does not open."""
    found = {}
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            image.load()
            texts = {key: text for key, text in image.text.items() if key not in PER_RUN}
            found[path.name] = np.asarray(image), texts
    return found


def outcome(folder: Path) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """The table without what differs from run to run, and the ids of the rows without a picture."""
    import pyarrow.parquet as pq

    kept = [
        {name: value for name, value in row.items() if name not in SECONDS} for row in table(folder)
    ]
    files = [folder / f"{end}.parquet" for end in ENDS]
    rejected = {f.stem: sorted(pq.read_table(f)["id"].to_pylist()) for f in files if f.exists()}
    return kept, rejected


def same(broken: Path, whole: Path, levels: int) -> bool:
    """Whether both folders hold the same rows and the same pictures, each once and whole.

    A resumed run makes other batches of the rows that are left, in which a model's pixels may
    differ by some `levels` of 255; all else is the same.
    """
    if outcome(broken) != outcome(whole):
        return False
    ours, theirs = pictures(broken), pictures(whole)
    if ours.keys() != theirs.keys() or not all(matches(row, ours) for row in table(broken)):
        return False
    return all(
        differ(pixels, theirs[name][0]) <= levels and texts == theirs[name][1]
        for name, (pixels, texts) in ours.items()
    )


def differ(one: np.ndarray, other: np.ndarray) -> int:
    """By how many grey levels the two pictures, of one size, differ at most."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def matches(row: dict[str, Any], found: dict[str, tuple[np.ndarray, dict[str, str]]]) -> bool:
    texts = found[Path(row["image_path"]).name][1]
    return all(texts[key] == str(row[key]) for key in ("id", "seed", "prompt", "base_prompt"))


def kill_some_time(
    command: Command, folder: Path, limit: int, victim: str, chance: random.Random
) -> bool:
    """Kill one process of the run, mostly while it draws; false where it was over before."""
    whole = limit // BLOCK - limit // 50
    wanted = parts(folder) + chance.randint(1, max(1, (whole - parts(folder)) // 3))
    end = time.monotonic() + (chance.uniform(0.5, 15) if chance.random() < 0.3 else 600)
    while parts(folder) < wanted and time.monotonic() < end:
        if command.process.poll() is not None:
            return False
        time.sleep(0.005)
    if command.process.poll() is not None:  # what it left may have gone on writing
        return False
    if VICTIMS[victim] is None:
        command.process.send_signal(signal.SIGKILL)
        return command.process.wait(60) == -signal.SIGKILL
    while not (found := command.processes(VICTIMS[victim])):
        if command.process.poll() is not None:
            return False
        time.sleep(0.05)
    chance.choice(found).kill()
    return True


def broken_run(
    home: Path, asked: list[str], limit: int, victims: list[str], chance: random.Random
) -> tuple[Path, list[str]]:
    """A run that loses one of `victims` after another, resumed when that ends it, up to its end.

    It outlives the loss of an actor. Gives its folder, and who was killed: fewer where it ended
    before.
    """
    folder, left = home / "out", list(victims)
    typed = [f"hydra.run.dir={folder}", *asked]
    while True:
        command, victim = start(home, *typed), "nobody"
        try:
            while left and kill_some_time(command, folder, limit, left[0], chance):
                victim = left.pop(0)
            code, said = command.wait()
        finally:
            command.end()
        if code == 0:
            return folder, victims[: len(victims) - len(left)]
        busy = "Ray did not start" in said  # within its 30 s, beside other tests: nothing was drawn
        assert busy or victim in ("driver", "raylet"), f"{victim} was killed: {said}"
        if (folder / "run.json").exists():
            typed = [f"resume={folder}"]


def kill_often(
    home: Path,
    asked: list[str],
    limit: int,
    kills: int,
    record: Any,
    model: str,
    levels: int = 0,
    fault: str = "kill -9",
) -> None:
    """Runs until `kills` processes were killed, each compared with the undisturbed run."""
    whole, chance = one_session.run(home, "whole", *asked), random.Random()
    victims, done = cycle(VICTIMS), 0
    for number in count():
        some = list(islice(victims, min(IN_A_ROW, kills - done)))
        if not some:
            return
        began, place = time.monotonic(), home / f"run-{number}"
        place.mkdir()
        folder, killed = broken_run(place, asked, limit, some, chance)
        held = same(folder, whole, levels) and adds_up(folder)
        seconds = (time.monotonic() - began) / max(1, len(killed))
        for victim in killed:
            record(fault, victim=victim, rows=limit, held=held, model=model, seconds=seconds)
        assert held, folder
        done += len(killed)


def adds_up(folder: Path) -> bool:
    said = summary(folder)
    return sum(said[end] for end in ENDS) == said["rows_read"] and said["status"] == "FINISHED"


@pytest.mark.faults
def test_a_kill_changes_nothing(tmp_path, rows, record):
    asked = overrides(rows, 60, *FAST, "tracking=none")
    kill_often(tmp_path, asked, 60, 1, record, "noop")


@pytest.mark.faults
def test_many_kills_change_nothing(tmp_path, rows, record, kills):
    kill_often(tmp_path, overrides(rows, ROWS, *FAST), ROWS, kills, record, "noop")


@pytest.mark.faults
def test_kills_while_a_real_model_draws_change_nothing(tmp_path, rows, record, kills):
    some = max(1, kills // 10)
    real = ["model=tiny", "model.steps=2", "llm=template", "scorer=none", "resources=cpu"]
    kill_often(tmp_path, overrides(rows, 100, *real), 100, some, record, "tiny", GREY_LEVELS)


@pytest.mark.faults
def test_kills_change_none_of_the_five_ends(tmp_path, photos, record, kills):
    """Of a run with pictures that go in, a stage of one's own, a rule and near-duplicates."""
    drawn = ["model=noop", "model.engine=custom", "model._target_=helpers.painters.Echo"]
    drawn += ["model.width=32", "model.height=32", "+model.columns.image=photo"]
    own = "stages=[{_target_: helpers.own_stages.Larger, after: model, num_cpus: 0.1}]"
    kept = ["filter.keep='float(size) < 8'", "filter.near_duplicates=4"]
    asked = overrides(photos, 200, *drawn, own, *kept, "llm=template", "scorer=none")
    fault = "kill -9, rows that end in every way"
    kill_often(tmp_path, asked, 200, max(1, kills // 5), record, "own", fault=fault)
    said = summary(tmp_path / "whole")
    assert all(said[end] for end in ENDS[:-1])
    assert said["written"] <= PHOTOS
