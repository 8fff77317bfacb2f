"""Every file in experiments/ composes and runs on a few rows."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from test_config import composed, config_dir
from test_run import run, summary

NAMES = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
SMALL = ["limit=6", "model.width=64", "model.height=64", "model=noop", "tracking=none"]


def test_the_labs_are_there():
    assert {"lab_1_images", "lab_2_join", "lab_3_llm", "lab_4_parameters"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name: str, tmp_path):
    config = composed(f"experiment={name}")
    out = run(tmp_path, "out", f"experiment={name}", *SMALL)
    assert summary(out)["written"] == 6
    row = pq.read_table(out / "table").to_pylist()[0]
    assert row["base_prompt"] == config.dataset.prompt.format(**row)
    assert (row["prompt"] == row["base_prompt"]) == (config.llm.engine == "none")


def test_lab_3_has_two_actors_a_stage_and_batches_of_their_own():
    shares = composed("experiment=lab_3_llm").resources
    assert (shares.llm.pool, shares.model.pool) == (2, 2)
    assert (shares.llm.batch_size, shares.model.batch_size) == (4, 8)
    assert shares.llm.num_cpus / shares.model.num_cpus == pytest.approx(0.6 / 0.4)


def test_lab_4_takes_another_llm_and_prompt_column_from_outside():
    config = composed("experiment=lab_4_parameters", "llm=tiny", "dataset.prompt='{outfit}'")
    assert (config.llm.name, config.dataset.prompt) == ("tiny", "{outfit}")
