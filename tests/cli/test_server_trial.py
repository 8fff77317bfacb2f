"""Whoever asks a server that draws is told first that it may draw a picture for that."""

from __future__ import annotations

import pytest
from helpers.image_server import drawing

from imagepipe.cli import doctor, fetch, plan

SMALL = ["model=image_server", "model.path=m", "llm=none", "scorer=none", "tracking=none"]
NOTE = "the server draws one picture first, to try what this run asks of it"


@pytest.mark.parametrize(
    ("main", "flags"),
    [
        (plan.main, []),
        (plan.main, ["--json"]),
        (doctor.main, ["--no-presets", "--json"]),
        (fetch.main, []),
    ],
    ids=["plan", "json", "doctor", "fetch"],
)
def test_a_picture_that_tries_a_server_is_announced(main, flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with drawing() as server:
        code = main([*flags, *SMALL, f"model.base_url={server.url}"])
    said = capsys.readouterr()
    assert code == 0, said
    assert len(server.paths) == 1
    assert NOTE in said.err.replace("\n", " ") and NOTE not in said.out
