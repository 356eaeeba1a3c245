from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import often
from tests.support.functions import call, column

DAY = timedelta(days=1)
UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1), "us": timedelta.resolution}
DATES = [pa.date32(), pa.date64()]
UNZONED = [pa.timestamp(unit) for unit in UNITS]
ZONED = [pa.timestamp(unit, "UTC") for unit in UNITS]
DAYS = [pa.int16(), pa.int64(), pa.uint64(), pa.decimal128(8, 3), pa.decimal256(40, 20)]

Row = tuple[Any, Any, Any]


def moments(data_type: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_date(data_type):
        return st.dates()
    zone = st.none() if data_type.tz is None else st.just(UTC)
    return st.datetimes(timezones=zone).map(lambda moment: rounded(moment, data_type))


def rounded(moment: datetime, data_type: pa.DataType) -> datetime:
    step = UNITS[data_type.unit] // timedelta.resolution
    return moment.replace(microsecond=moment.microsecond // step * step)


def days(data_type: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_decimal(data_type):
        return st.integers(-(10**4), 10**6).map(lambda number: Decimal(number) / 1000)
    return st.integers(0 if data_type == pa.uint64() else -5, 10**4)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[pa.DataType], list[Row]]:
    """Rows that are often just on, just inside or just outside the tolerance."""
    kinds = draw(st.sampled_from([DATES + UNZONED, DATES + ZONED]))
    types = [
        draw(st.sampled_from(kinds)),
        draw(st.sampled_from(kinds)),
        draw(st.sampled_from(DAYS)),
    ]
    return types, draw(st.lists(rows(types), min_size=1, max_size=6))


@st.composite
def rows(draw: st.DrawFn, types: Sequence[pa.DataType]) -> Row:
    a, b = (draw(st.one_of(moments(data_type), st.none())) for data_type in types[:2])
    limit = draw(st.one_of(days(types[2]), st.none()))
    if a is None or limit is None or not draw(st.booleans()):
        return a, b, limit
    nudge = draw(st.sampled_from([-1, 0, 0, 1])) * timedelta.resolution
    try:
        goal = instant(a) + float(limit) * DAY + nudge
    except OverflowError:
        return a, b, limit
    if pa.types.is_date(types[1]):
        return a, goal.date(), limit
    return a, rounded(goal if types[1].tz else goal.replace(tzinfo=None), types[1]), limit


def instant(moment: date | datetime) -> datetime:
    """A moment as the clock of UTC shows it; a date is its midnight."""
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=UTC)
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)


def expected(row: Row) -> bool | None:
    a, b, limit = row
    if a is None or b is None or limit is None:
        return None
    apart = abs(instant(a) - instant(b)) // timedelta.resolution
    return limit >= 0 and apart <= Fraction(limit) * (DAY // timedelta.resolution)


@given(tables())
@settings(max_examples=often(300), deadline=None)
def test_date_within_is_python_datetime_arithmetic(
    table: tuple[list[pa.DataType], list[Row]],
) -> None:
    types, data = table
    columns = [column(types[place], [row[place] for row in data]) for place in range(3)]

    assert call("date_within", *columns) == [expected(row) for row in data]


@pytest.mark.parametrize(("b", "match"), [(3, True), (4, False), (-3, True), (-4, False)])
def test_dates_are_within_so_many_days_both_ways(b: int, match: bool) -> None:
    day = date(2024, 2, 28)

    found = call("date_within", pa.array([day]), pa.array([day + b * DAY]), pa.array([3]))

    assert found == [match]


def test_days_may_have_a_fraction() -> None:
    a = pa.array([datetime(2024, 1, 1)] * 2, pa.timestamp("ns"))
    b = pa.array([datetime(2024, 1, 2, 12), datetime(2024, 1, 2, 12, 0, 0, 1)], pa.timestamp("us"))

    decimals = pa.array([Decimal("1.5")] * 2, pa.decimal128(2, 1))
    singles = pa.array([1.5, 1.5], pa.float32())

    assert call("date_within", a, b, decimals) == [True, False]
    assert call("date_within", a, b, singles) == [True, False]


def test_a_float_of_days_means_what_it_prints_as() -> None:
    a = pa.array([0, 0], pa.timestamp("ns"))
    b = pa.array([8_640_000_000_000, 8_640_000_000_001], pa.timestamp("ns"))

    assert call("date_within", a, b, pa.array([0.1, 0.1])) == [True, False]
    assert call("date_within", a, b, pa.array([float("nan"), float("inf")])) == [False, False]


def test_nanoseconds_at_the_ends_of_their_range_do_not_overflow() -> None:
    first = pa.array([-(2**63)], pa.timestamp("ns"))
    last = pa.array([2**63 - 1], pa.timestamp("ns"))
    far = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())

    assert call("date_within", first, last, pa.array([213_503])) == [False]
    assert call("date_within", first, last, pa.array([213_504])) == [True]
    assert call("date_within", last, far, pa.array([2**31 - 1])) == [True]
    assert call("date_within", last, far, pa.array([2**30])) == [False]


def test_timestamps_of_unlike_zones_are_compared_as_instants() -> None:
    berlin = pa.array([datetime(2024, 3, 31, tzinfo=ZoneInfo("Europe/Berlin"))])
    new_york = pa.array([datetime(2024, 3, 30, 19, tzinfo=ZoneInfo("America/New_York"))])

    assert berlin.type != new_york.type
    assert call("date_within", berlin, new_york, pa.array([0])) == [True]


@pytest.mark.parametrize(
    ("zone", "day", "midnight"),
    [
        ("UTC", date(2024, 1, 1), datetime(2024, 1, 1)),
        ("+02:00", date(2024, 1, 1), datetime(2023, 12, 31, 22)),
        ("Europe/Berlin", date(2024, 7, 1), datetime(2024, 6, 30, 22)),
        ("Asia/Beirut", date(2024, 3, 31), datetime(2024, 3, 30, 22)),  # no midnight: 1:00 is first
        ("America/Havana", date(2024, 11, 3), datetime(2024, 11, 3, 4)),  # midnight comes twice
    ],
)
@pytest.mark.parametrize("date_type", DATES, ids=str)
def test_a_date_beside_a_zoned_timestamp_is_midnight_in_its_zone(
    zone: str, day: date, midnight: datetime, date_type: pa.DataType
) -> None:
    moments_there = pa.array([midnight, None], pa.timestamp("us")).cast(pa.timestamp("us", zone))
    days_there = pa.array([day, day], date_type)

    assert call("date_within", moments_there, days_there, pa.array([0, 0])) == [True, None]
    assert call("date_within", days_there, moments_there, pa.array([0, 0])) == [True, None]


def test_a_slice_of_moments_is_read_from_where_it_starts() -> None:
    days_there = pa.array([date(2000, 1, 1), date(2024, 1, 1), None]).slice(1)
    moments_there = pa.array([datetime(2024, 1, 1), datetime(2024, 1, 2), None]).slice(1)

    assert call("date_within", days_there, moments_there, pa.array([1, 1])) == [True, None]
    assert call("date_within", days_there, moments_there, pa.array([0, 0])) == [False, None]


def test_null_beside_anything_is_null() -> None:
    day = pa.array([date(2024, 1, 1)])

    assert call("date_within", day, pa.nulls(1), pa.array([1])) == [None]
    assert call("date_within", pa.nulls(1), day, pa.array([1])) == [None]
    assert call("date_within", day, day, pa.nulls(1)) == [None]
