"""The documentation as a site, as `make docs` builds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

PHONE = {"width": 375, "height": 812}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "-d", folder]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.faults
@pytest.mark.browser
def test_no_page_scrolls_sideways_on_a_phone(site: Path, browser):
    """Tables and code do within themselves."""
    page = browser.new_page(viewport=PHONE)
    widths = {}
    for file in sorted(site.rglob("index.html")):
        page.goto(file.as_uri(), wait_until="load")
        widths[str(file.parent.relative_to(site))] = page.evaluate(
            "document.documentElement.scrollWidth"
        )
    page.close()
    assert len(widths) > 30
    assert {name: width for name, width in widths.items() if width > PHONE["width"]} == {}
