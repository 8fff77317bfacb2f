"""Benchmarks whose parts start Ray, at a tiny size."""

from __future__ import annotations

import pytest
from helpers.benchmarks import leaves_figures


@pytest.mark.faults
@pytest.mark.parametrize("name", ["bare", "rows"])
def test_a_benchmark_runs_at_a_tiny_size_and_leaves_figures(name, tmp_path):
    leaves_figures(name, tmp_path)
