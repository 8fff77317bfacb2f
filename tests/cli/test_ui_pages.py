"""`imagepipe ui FOLDER`: a run's own page, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagepipe.cli.ui import main


@pytest.mark.parametrize("name", ["gallery.html", "comparison.html"])
def test_it_opens_the_page_of_a_folder(tmp_path: Path, monkeypatch, capsys, name: str):
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run" / name).write_text("<p>")
    monkeypatch.chdir(tmp_path)
    assert main(["a run", "--no-browser"]) == 0
    assert capsys.readouterr().out == f"{(tmp_path / 'a run' / name).as_uri()}\n"


def test_a_folder_without_a_page_is_refused(tmp_path: Path, capsys):
    assert main([str(tmp_path), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert f"ui={tmp_path}: has no gallery.html and no comparison.html" in said
    assert "Name the folder of a run that has ended, or of a sweep." in said
