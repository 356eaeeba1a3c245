"""Casts give what PostgreSQL gives, wherever they stand, and columns keep their names."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.prepare import prepare
from kalla_core.matching.sql.conversions import unwritten
from tests.support.evaluated import evaluated, value
from tests.support.queries import query

HALVES = [Decimal(x) for x in ("-2.50", "-1.49", "-0.50", "0.49", "0.50", "1.50")]
ROUNDED = [-3, -1, -1, 0, 1, 2]
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 600000)


@pytest.mark.parametrize("kind", ["int", "bigint", "smallint", "integer", "int2", "int8"])
@pytest.mark.parametrize("form", ["cast({} as {})", "try_cast({} as {})", "{}::{}", "({})::{}"])
def test_a_fraction_is_rounded_half_away_from_zero(form: str, kind: str) -> None:
    table = pa.table({"id": range(6), "d": pa.array(HALVES, pa.decimal128(9, 2))})

    rows = evaluated(f"select {form.format('d', kind)} as x from left_src order by id", table)

    assert [row["x"] for row in rows] == ROUNDED


@pytest.mark.parametrize(
    "sql",
    [
        "select cast(d as int) as x from left_src order by id",
        "select l.d::int as x from left_src l join right_src r on l.id = r.id order by l.id",
        "select max(cast(d as int)) as x from left_src group by id order by id",
        "select max(1) filter (where d::int >= 0), d::int as x from left_src group by id, d "
        "order by id",
        "select (select max(cast(r.d as int)) from right_src r where r.id = l.id) as x "
        "from left_src l order by l.id",
        "with w as (select id, cast(d as int) as x from left_src) select x from w order by id",
    ],
)
def test_that_holds_wherever_a_cast_stands(sql: str) -> None:
    table = pa.table({"id": range(6), "d": pa.array(HALVES, pa.decimal128(9, 2))})

    assert [row["x"] for row in evaluated(sql, table)] == ROUNDED


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
def test_floats_round_too_and_what_is_no_number_is_null_if_asked(kind: pa.DataType) -> None:
    found = [
        value("try_cast(n as int)", n=pa.array([number], kind))
        for number in (2.5, -0.6, 1e12, float("nan"), float("inf"), None)
    ]

    assert found == [3, -1, None, None, None, None]


def test_a_decimal_that_is_no_integer_of_that_size_is_an_error() -> None:
    large = pa.array([Decimal("99999999.50")], pa.decimal128(12, 2))

    assert value("cast(n as int)", n=large) == 100000000
    with pytest.raises(InvalidSql):
        value("cast(n as smallint)", n=large)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (MOMENT, "2026-01-02 03:04:05.6"),
        (MOMENT.replace(microsecond=0), "2026-01-02 03:04:05"),
        (MOMENT.replace(microsecond=10), "2026-01-02 03:04:05.00001"),
        (dt.datetime(2000, 1, 1), "2000-01-01 00:00:00"),
        (dt.datetime(9999, 12, 31, 23, 59, 59, 999999), "9999-12-31 23:59:59.999999"),
        (None, None),
    ],
)
@pytest.mark.parametrize("unit", ["us", "ms", "s"])
@pytest.mark.parametrize("form", ["t::text", "cast(t as varchar)", "t || ''", "right(t, 30)"])
def test_a_moment_is_written_with_a_blank(
    moment: dt.datetime | None, text: str | None, unit: str, form: str
) -> None:
    if (
        moment is not None
        and pa.scalar(moment, pa.timestamp("us"))
        .cast(pa.timestamp(unit), safe=False)
        .cast(pa.timestamp("us"))
        .as_py()
        != moment
    ):
        return  # the unit cannot hold it

    assert value(form, t=pa.array([moment], pa.timestamp(unit))) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-01-02 03:04:05.6+00"),
        ("Europe/Berlin", "2026-01-02 04:04:05.6+01"),
        ("Asia/Kolkata", "2026-01-02 08:34:05.6+05:30"),
        ("America/St_Johns", "2026-01-01 23:34:05.6-03:30"),
    ],
)
def test_a_moment_with_a_zone_is_written_with_its_offset(zone: str, text: str) -> None:
    moment = pa.array([MOMENT], pa.timestamp("us")).cast(pa.timestamp("us", zone))

    assert value("cast(t as varchar)", t=moment) == text


def test_columns_without_an_alias_keep_their_names() -> None:
    sql = "select id, cast(booked as varchar), upper(booked::text), rate > 1 from left_src"

    names = prepare(query(sql)).names

    assert names == (
        "id",
        "left_src.booked",
        "upper(left_src.booked)",
        "left_src.rate > Int64(1)",
    )


def test_people_read_what_was_written() -> None:
    text = prepare(query("select upper(booked || ref) || booked::text as x from left_src")).text

    assert "regexp_replace" in text
    assert unwritten(text) == (
        "select upper(CAST(booked AS VARCHAR) || ref) || booked::text as x from left_src"
    )


@pytest.mark.parametrize("hours", ["1 hour", "90 minutes", "1 day 1 hour", "1 second"])
def test_a_date_beside_hours_becomes_a_moment(hours: str) -> None:
    day = pa.array([dt.date(2026, 1, 1)])

    later = value(f"d + interval '{hours}' > d", d=day)
    back = value(f"d + interval '{hours}' - interval '{hours}' = d", d=day)

    assert (later, back) == (True, True)


@pytest.mark.parametrize("days", ["1 day", "2 weeks", "1 month", "1 year 2 months"])
def test_a_date_beside_days_stays_one(days: str) -> None:
    found = value(f"d + interval '{days}'", d=pa.array([dt.date(2026, 1, 1)]))

    assert type(found) is dt.date


@pytest.mark.parametrize(
    ("precision", "scale", "digits"), [(12, 2, 16), (18, 2, 16), (30, 2, 12), (38, 2, 12)]
)
def test_quotients_and_averages_of_decimals_have_digits(
    precision: int, scale: int, digits: int
) -> None:
    numbers = pa.array([Decimal(1), Decimal(1), Decimal(0)], pa.decimal128(precision, scale))
    table = pa.table({"id": range(3), "d": numbers})
    third = Decimal(1) / 3

    (quotient,) = {row["x"] for row in evaluated("select sum(d) / 6 as x from left_src", table)}
    (average,) = {row["x"] for row in evaluated("select avg(d) / 2 as x from left_src", table)}

    assert abs(quotient - third) < Decimal(10) ** -12
    assert abs(average - third) < Decimal(10) ** -11
    assert value("d / 3", d=numbers[:1]).as_tuple().exponent == -digits
