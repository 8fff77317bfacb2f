"""Keys that are equal meet, whatever their types."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from imagepipe.sources.keys import keys_of

DAY = datetime(2024, 1, 31)
MOMENT = datetime(2024, 1, 31, 5, 4, 3, 500000)
NANOS = pa.array([1_706_677_443_123_456_789], pa.timestamp("ns"))  # 2024-01-31 05:04:03.123456789
U64 = pa.uint64()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(pa.array([7]), pa.array([7.0]), id="whole-double"),
        pytest.param(pa.array([7], pa.uint8()), pa.array([7.0], pa.float32()), id="widths"),
        pytest.param(pa.array([1581282014547000]), pa.array([1581282014547000.0]), id="long"),
        pytest.param(pa.array([2**60]), pa.array([float(2**60)]), id="longer"),
        pytest.param(pa.array([4.1], pa.float32()), pa.array([4.1]), id="float32"),
        pytest.param(pa.array([Decimal("7.00")]), pa.array([7]), id="decimal"),
        pytest.param(pa.array([Decimal("1.50")]), pa.array([1.5]), id="decimal-fraction"),
        pytest.param(pa.array([DAY.date()]), pa.array([DAY], pa.timestamp("ns")), id="midnight"),
        pytest.param(
            pa.array([MOMENT], pa.timestamp("us")),
            pa.array([MOMENT], pa.timestamp("ns")),
            id="units",
        ),
        pytest.param(pa.array([date(2024, 1, 31)], pa.date64()), pa.array([DAY.date()]), id="days"),
        pytest.param(
            pa.array([DAY.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")),
            pa.array([DAY.replace(tzinfo=UTC)], pa.timestamp("s", "Europe/Berlin")),
            id="zones",
        ),
        pytest.param(pa.array([True]), pa.array(["True"]), id="true"),
        pytest.param(pa.array([False]), pa.array(["FALSE"]), id="false"),
        pytest.param(pa.array([7]), pa.array(["7.0"]), id="text-of-a-number"),
        pytest.param(pa.array([1.5]), pa.array(["1.50"]), id="text-of-a-double"),
        pytest.param(pa.array([100]), pa.array(["1e2"]), id="exponent"),
        pytest.param(pa.array([DAY.date()]), pa.array(["2024-01-31 00:00:00"]), id="text-of-a-day"),
        pytest.param(pa.array([MOMENT]), pa.array(["2024-01-31T05:04:03.5"]), id="iso"),
        pytest.param(
            pa.array([DAY.date()]),
            pa.array([DAY.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")),
            id="midnight-in-utc",
        ),
        pytest.param(pa.array([DAY.date()]), pa.array(["2024-01-31T00:00:00.000Z"]), id="iso-day"),
        pytest.param(pa.array(["a"]), pa.array(["a"]).dictionary_encode(), id="dictionary"),
        pytest.param(pa.array([2**63], U64), pa.array([2.0**63]), id="unsigned"),
        pytest.param(pa.array([2**64 - 2048], U64), pa.array([2.0**64 - 2048]), id="largest"),
        pytest.param(pa.array([10**19], U64), pa.array([1e19], pa.float32()), id="unsigned-32"),
        pytest.param(pa.array([1e19]), pa.array([1e19], pa.float32()), id="large-widths"),
        pytest.param(pa.array([1e30]), pa.array([1e30], pa.float32()), id="larger-widths"),
        pytest.param(pa.array([2.0**63]), pa.array(["9.223372036854776e+18"]), id="large-text"),
        pytest.param(
            pa.array([2**64 - 1, 7], U64),
            pa.array(["18446744073709551615", "7.0"]),
            id="text-beside-unsigned",
        ),
        pytest.param(pa.array([10**19], U64), pa.array(["1e19"]), id="exponent-beside-unsigned"),
        pytest.param(pa.array([time(6)], pa.time32("s")), pa.array(["06:00"]), id="clock"),
        pytest.param(
            pa.array([time(6), time(18, 30, 0, 500000)], pa.time64("us")),
            pa.array(["6:00:00", "18:30:00.50"]),
            id="clock-with-zeros",
        ),
        pytest.param(NANOS, pa.array(["2024-01-31T05:04:03.123456789"]), id="nanoseconds"),
    ],
)
def test_equal_values_are_equal_keys(one: pa.Array, other: pa.Array) -> None:
    first = keys_of(pa.table({"k": one}), ["k"], [other.type])
    second = keys_of(pa.table({"k": other}), ["k"], [one.type])
    assert first.to_pylist() == second.to_pylist() != [None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(pa.array([7]), pa.array(["007"]), id="zeros"),
        pytest.param(pa.array(["7"]), pa.array(["7.0"]), id="texts"),
        pytest.param(pa.array([7]), pa.array([7.5]), id="fraction"),
        pytest.param(pa.array([2**53 + 1]), pa.array([float(2**53)]), id="beyond-a-double"),
        pytest.param(pa.array([MOMENT]), pa.array([DAY.date()]), id="not-midnight"),
        pytest.param(pa.array([True]), pa.array([1]), id="bool-and-number"),
        pytest.param(pa.array([MOMENT]), pa.array(["2024-01-31T05:04:03.5Z"]), id="zone-or-none"),
        pytest.param(pa.array([2**63 + 1], U64), pa.array([2.0**63]), id="beyond-a-large-double"),
        pytest.param(pa.array([float("inf")]), pa.array(["1e400"]), id="no-double"),
        pytest.param(pa.array([time(6)]), pa.array(["06:00:01"]), id="other-clock"),
        pytest.param(
            pa.array([MOMENT.replace(microsecond=123456)]),
            pa.array(["2024-01-31T05:04:03.123456789"]),
            id="below-a-microsecond",
        ),
    ],
)
def test_other_values_are_other_keys(one: pa.Array, other: pa.Array) -> None:
    first = keys_of(pa.table({"k": one}), ["k"], [other.type])
    assert first != keys_of(pa.table({"k": other}), ["k"], [one.type])


def test_what_is_no_key() -> None:
    cells = pa.array([None, float("nan")])
    assert keys_of(pa.table({"k": cells}), ["k"]).to_pylist() == [None, None]
    broken = pa.array([b"a\xff", b" "])
    assert keys_of(pa.table({"k": broken}), ["k"]).to_pylist() == ["a\ufffd", None]
