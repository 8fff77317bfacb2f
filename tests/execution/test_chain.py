"""What the stages are checked for before a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.asked import dataset, written
from helpers.configs import composed

from imagepipe.config import Config, Dataset
from imagepipe.errors import UserError
from imagepipe.execution import chain
from imagepipe.sources import scan


def check_filter(config: Config, data: Dataset) -> None:
    tables = scan(data, None)
    chain.check_filter(config, tables, chain.stages(config, tables))


def test_a_filter_sees_ids_with_numbers_as_texts(tmp_path: Path):
    left = written(tmp_path / "l.parquet", {"id": [1, 2], "what": ["a", "b"]})
    config = composed("llm=none", "model=noop", "scorer=none", "filter.keep='id > 1'")
    check_filter(config, dataset(left))
    repeated = dataset(left, repeat=2)
    with pytest.raises(UserError, match="cannot be decided"):
        check_filter(config, repeated)
    by_text = replace(config.filter, keep="id != '1-r0'")
    check_filter(replace(config, filter=by_text), repeated)
