"""docs/sources.md has every format, with the options that it has and the extra that it needs."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pkgutil import resolve_name

from helpers import ROOT

from imagepipe.config.formats import FORMATS

ROW = re.compile(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", re.M)


def test_every_format_with_its_options_and_its_extra() -> None:
    text = (ROOT / "docs" / "sources.md").read_text()
    said = {name: (options, needs) for name, options, needs in ROW.findall(text)}
    assert list(said) == list(FORMATS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for name, line in FORMATS.items():
        options, needs = said[name]
        own = [one.name for one in fields(resolve_name(line.made_by)) if one.init]
        assert ["columns", *re.findall(r"`(\w+)`", options)] == own
        assert re.findall(r"imagepipe\[(\w+)\]", needs) == ([line.extra] if line.extra else [])
        assert line.extra is None or extras[line.extra]
        assert (ROOT / "conf" / "dataset" / f"{name}.yaml").is_file()
