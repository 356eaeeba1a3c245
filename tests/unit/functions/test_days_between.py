from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import often
from tests.support.functions import call

UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1), "us": timedelta.resolution}
KINDS = [pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in UNITS)]


def moment(day: datetime, kind: pa.DataType) -> Any:
    if pa.types.is_date(kind):
        return day.date()
    step = UNITS[kind.unit] // timedelta.resolution
    return day.replace(microsecond=day.microsecond // step * step)


def instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)


@given(st.lists(st.tuples(st.datetimes(), st.datetimes()), min_size=1, max_size=9), st.data())
@settings(max_examples=often(200), deadline=None)
def test_days_between_is_python_datetime_arithmetic_cut_towards_nothing(
    pairs: list[tuple[datetime, datetime]], data: st.DataObject
) -> None:
    kinds = [data.draw(st.sampled_from(KINDS)) for _ in range(2)]
    values = [[moment(pair[side], kinds[side]) for pair in pairs] for side in (0, 1)]

    found = call("days_between", *(pa.array(values[side], kinds[side]) for side in (0, 1)))

    apart = [instant(b) - instant(a) for a, b in zip(*values, strict=True)]
    assert found == [
        one // timedelta(days=1) if one >= timedelta() else -(-one // timedelta(days=1))
        for one in apart
    ]


def test_days_between_is_null_beside_null() -> None:
    a, b = (
        pa.array([date(2026, 1, 1), None, date(2026, 1, 1)]),
        pa.array([None, None, date(2026, 1, 31)]),
    )

    assert call("days_between", a, b) == [None, None, 30]


def test_nanoseconds_and_the_farthest_dates_have_days_between_them() -> None:
    first, last = pa.array([-(2**31)], pa.int32()), pa.array([2**31 - 1], pa.int32())
    tick = pa.array([-1], pa.timestamp("ns")), pa.array([86_400 * 10**9 - 1], pa.timestamp("ns"))

    assert call("days_between", first.cast(pa.date32()), last.cast(pa.date32())) == [2**32 - 1]
    assert call("days_between", *tick) == [1]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_date_beside_a_zoned_timestamp_is_its_midnight_there(swapped: bool) -> None:
    day = pa.array([date(2026, 3, 28)])
    berlin = pa.array([datetime(2026, 3, 29, 22, tzinfo=UTC)], pa.timestamp("us", "Europe/Berlin"))
    assert datetime(2026, 3, 29, 22, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin")).hour == 0

    arguments = (berlin, day) if swapped else (day, berlin)

    assert call("days_between", *arguments) == [-1 if swapped else 1]  # 47 hours, by summer time
