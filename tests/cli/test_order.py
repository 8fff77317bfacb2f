"""Options and settings in any order."""

from __future__ import annotations

import pytest
from helpers.command import imagepipe

from imagepipe.cli.run import options_first


@pytest.mark.parametrize(
    ("typed", "ordered"),
    [
        ("", ""),
        ("seed=1 limit=2", "seed=1 limit=2"),
        ("-m seed=1,2 limit=2", "-m seed=1,2 limit=2"),
        ("seed=1,2 limit=2 -m", "-m seed=1,2 limit=2"),
        ("limit=2 -m seed=1,2", "-m limit=2 seed=1,2"),
        ("limit=2 --multirun seed=1,2 ~join", "--multirun limit=2 seed=1,2 ~join"),
        ("limit=2 --cfg job seed=1", "--cfg job limit=2 seed=1"),
        ("+a=1 --config-dir mine model=x -m ++b=2", "--config-dir mine -m +a=1 model=x ++b=2"),
        ("a=1 --config-dir=mine --config-name x b=2", "--config-dir=mine --config-name x a=1 b=2"),
        ("a=-1 --cfg job --resolve ~b", "--cfg job --resolve a=-1 ~b"),
    ],
)
def test_options_come_first(typed: str, ordered: str):
    assert options_first(typed.split()) == ordered.split()


def test_settings_on_both_sides_of_an_option_count(tmp_path):
    done = imagepipe(tmp_path, "seed=31", "--cfg", "job", "limit=7")
    assert done.returncode == 0 and "seed: 31\n" in done.stdout and "limit: 7\n" in done.stdout
