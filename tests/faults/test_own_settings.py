"""Sixty rows with settings of their own: each as it is drawn alone, whatever ends the run."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from helpers import one_session
from helpers.command import GREY_LEVELS, parts, summary, table
from PIL import Image

from imagepipe.cli import reproduce

ROWS, BATCH = 60, 6
SIZES, STEPS = [(64, 64), (96, 64), (64, 96)], [1, 2, 3]
COLUMNS = "{width: w, height: h, steps: n, seed: s, negative_prompt: no}"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The overrides for a table of three sizes and three step counts, its kinds mixed."""
    folder = tmp_path_factory.mktemp("own")
    kinds = islice(product(range(math.ceil(ROWS / 9)), SIZES, STEPS), ROWS)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "w", "h", "n", "s", "no", "what"])
        for number, (_, (width, height), steps) in enumerate(kinds):
            no = ("snow", "a hat", "grass")[number // 2 % 3]
            what = ("cat", "dog", "fox", "bear")[number % 4]
            writer.writerow(
                [f"{number:02d}", width, height, steps, 7 * number, no, f"a red {what}"]
            )
    data = ["dataset=csv", f"dataset.path={folder}/rows.csv", "dataset.id=id", "llm=none"]
    return [*data, "dataset.prompt='{what}'", "tracking=none", f"+model.columns={COLUMNS}"]


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path)) for path in (folder / "images").iterdir()}


def alike(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> bool:
    apart = [np.abs(ours[id].astype(int) - theirs[id].astype(int)).max() for id in theirs]
    return ours.keys() == theirs.keys() and max(apart) <= GREY_LEVELS


@pytest.mark.faults
def test_each_is_as_it_is_alone_after_a_kill_too_and_is_drawn_again(
    tmp_path: Path, rows: list[str], command: Callable, record: Callable, capsys
):
    small = ["resources.model.pool=1", f"resources.model.batch_size={BATCH}"]
    alone = one_session.run(tmp_path, "alone", *rows, "resources.model.batch_size=1")
    assert len(pictures(alone)) == ROWS
    out = tmp_path / "out"
    killed = command(f"hydra.run.dir={out}", *rows, *small)
    killed.until(lambda: parts(out) > 0, "a part is written")
    killed.process.kill()
    killed.gone()
    done = parts(out)
    code, said = command(f"resume={out}").wait()
    assert code == 0, said
    told = summary(out)
    assert told["already_done"] > 0 and told["written"] + told["already_done"] == ROWS
    held = alike(pictures(out), pictures(alone)) and len(table(out)) == ROWS
    record("kill -9, rows with settings of their own", victim="driver", rows=ROWS, held=held)
    assert held and done < math.ceil(ROWS / BATCH)
    for name in ("00", "31", "59"):
        assert reproduce.main([str(out / "images" / f"{name}.png")]) == 0, capsys.readouterr()
