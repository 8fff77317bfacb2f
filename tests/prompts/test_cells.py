"""What stands in a prompt for a cell."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from imagepipe.prompts.cells import cell_texts
from imagepipe.prompts.template import base_prompts


@pytest.mark.parametrize(
    ("cells", "kind", "texts"),
    [
        pytest.param([4.1, 3.0, -0.5, None], pa.float16(), ["4.1", "3", "-0.5", None], id="half"),
        pytest.param([4.1, 1e10, 1e20], pa.float32(), ["4.1", "10000000000", "1e+20"], id="single"),
        pytest.param([4.1, 3.0, -0.0, 1.5e-7], pa.float64(), ["4.1", "3", "0", "1.5e-7"], id="two"),
        pytest.param([1581282014547000.0], pa.float64(), ["1581282014547000"], id="long"),
        pytest.param([float("nan"), float("inf")], pa.float64(), [None, "inf"], id="nan"),
        pytest.param([2**64 - 1], pa.uint64(), ["18446744073709551615"], id="unsigned"),
        pytest.param([Decimal("1.50")], pa.decimal128(5, 2), ["1.50"], id="decimal"),
        pytest.param(
            [Decimal("1E-9"), None], pa.decimal128(9, 9), ["0.000000001", None], id="tiny"
        ),
        pytest.param([Decimal("1200")], pa.decimal128(5, -2), ["1200"], id="hundreds"),
        pytest.param([True, False], pa.bool_(), ["true", "false"], id="bool"),
        pytest.param([date(2024, 1, 31)], pa.date32(), ["2024-01-31"], id="day"),
        pytest.param(
            [datetime(2024, 1, 31), datetime(2024, 1, 31, 5, 4, 3, 120000)],
            pa.timestamp("ns"),
            ["2024-01-31", "2024-01-31 05:04:03.12"],
            id="moment",
        ),
        pytest.param([time(1, 2, 30)], pa.time64("us"), ["01:02:30"], id="time"),
        pytest.param([93_600], pa.duration("s"), ["1 day, 2:00:00"], id="one-day"),
        pytest.param(
            [None, 1_500_000_001], pa.duration("ns"), [None, "0:00:01.500000001"], id="ns"
        ),
        pytest.param([-1500, 10], pa.duration("ms"), ["-0:00:01.5", "0:00:00.01"], id="ms"),
        pytest.param([2**62], pa.duration("s"), ["53375995583650 days, 7:45:04"], id="many-days"),
        pytest.param([" a\n", ""], pa.string(), [" a\n", ""], id="text"),
    ],
)
def test_a_cell_is_the_shortest_text_that_comes_back(cells, kind, texts) -> None:
    assert cell_texts(pa.array(cells, kind)).to_pylist() == texts
    assert cell_texts(pa.chunked_array([pa.array(cells, kind)])).to_pylist() == texts


def test_a_cell_with_lost_text_fails_its_row() -> None:
    prompts, reasons = base_prompts("{a}", {}, pa.table({"a": ["caf\ufffd", "café"]}))
    assert prompts == [None, "café"]
    assert "U+FFFD" in str(reasons[0])
