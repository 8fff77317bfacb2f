"""The notebook of the lab, run from top to bottom in Jupyter's kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from helpers import ROOT
from nbclient import NotebookClient

pytestmark = pytest.mark.faults


def test_the_lab_runs_and_each_step_has_its_picture(tmp_path: Path):
    notebook = nbformat.read(ROOT / "experiments" / "lab.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    told = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [one for one in told if "image/png" in one.get("data", {})]
    assert len(pictures) == 5  # one of each run and of the comparison, and a single one
    bars = [one["data"]["text/plain"] for one in told if "<progress" in str(one.get("data"))]
    assert sum(text.startswith("8 of 8 rows") for text in bars) == 3
    said = "".join(one.get("text", "") for one in told)
    assert "resources.model.num_cpus=64" in said and "Traceback" not in said
    assert len(list((tmp_path / "outputs").glob("comparisons/*/*/comparison.html"))) == 1
