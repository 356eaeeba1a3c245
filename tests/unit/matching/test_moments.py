"""Dates and timestamps beyond 2262, where nanoseconds end, are values like others."""

from __future__ import annotations

import datetime as dt
import random

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql, TypesNotComparable
from tests.support.evaluated import evaluated, value

LAST = dt.datetime(9999, 12, 31, 10, 30, 15)
MIDNIGHT = dt.datetime(9999, 12, 31)
COLUMNS = {
    "t": pa.array([LAST], pa.timestamp("us")),
    "m": pa.array([LAST], pa.timestamp("ms")),
    "z": pa.array([LAST], pa.timestamp("us", "UTC")),
    "d": pa.array([LAST.date()]),
    "s": pa.array([str(LAST)]),
    "n": pa.array([253_402_252_215]),
}


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "timestamp with time zone"])
@pytest.mark.parametrize("form", ["try_cast({} as {})", "cast({} as {})", "{}::{}"])
def test_a_cast_to_a_time_with_a_zone_reaches_the_end_of_all_dates(form: str, kind: str) -> None:
    for column in "tzs":
        assert value(form.format(column, kind), **COLUMNS) == LAST
    assert value(f"{form.format('d', kind)} < {kind} '9999-12-31 00:00:01'", **COLUMNS) is True


BEGINNINGS = {
    "date_trunc('month', {})": dt.datetime(9999, 12, 1),
    "DATE_TRUNC('Week', {})": dt.datetime(9999, 12, 27),
    "datetrunc('quarter', {})": dt.datetime(9999, 10, 1),
    "date_trunc('year', {})": dt.datetime(9999, 1, 1),
    "date_trunc('day', {})": dt.datetime(9999, 12, 31),
    "date_bin('1 month', {})": dt.datetime(9999, 12, 1),
    "date_bin(interval '1 year', {}, date '1999-05-31')": dt.datetime(9999, 5, 31),
    "date_bin(interval '2 days', {}, '9999-12-30 00:00:01')": dt.datetime(9999, 12, 30, 0, 0, 1),
}


@pytest.mark.parametrize("form", BEGINNINGS)
def test_periods_begin_when_they_do_until_the_end_of_all_dates(form: str) -> None:
    for column in "tmds":
        if column != "d" or "2 days" not in form:
            assert value(form.format(column), **COLUMNS) == BEGINNINGS[form]
    if "trunc" in form:
        zoned = BEGINNINGS[form].replace(tzinfo=dt.UTC)
        assert value(form.format("z"), **COLUMNS) == zoned


STRIDES = ["1 month", "7 months", "1 year", "1 day", "1 week", "90 minutes", "1.5 seconds"]
ORIGINS = ["2000-01-01", "2001-01-31 10:00:00", "2004-02-29 23:59:59.999999"]


@pytest.mark.parametrize("stride", STRIDES)
def test_periods_begin_when_datafusion_says_so_where_it_can_tell(stride: str) -> None:
    rng = random.Random(stride)
    found = [
        dt.datetime(1800, 1, 1) + dt.timedelta(seconds=rng.randrange(300 * 365 * 86_400))
        for _ in range(300)
    ]
    table = pa.table({"id": range(301), "t": pa.array([*found, None], pa.timestamp("us"))})

    for origin in ORIGINS:
        call = f"date_bin(interval '{stride}', {{}}, timestamp '{origin}')"
        sql = f"select {call.format('t')} as x, {call.format('cast(t as timestamp(9))')} as y"
        rows = evaluated(f"{sql} from left_src", table)
        assert [row["x"] for row in rows] == [row["y"] for row in rows]


@pytest.mark.parametrize("stride", ["0 days", "-1 month", "1 month 1 day"])
def test_a_stride_that_is_none_is_refused(stride: str) -> None:
    with pytest.raises(InvalidSql, match="date_bin takes a stride of"):
        value(f"date_bin(interval '{stride}', t)", **COLUMNS)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("case when n > 0 then t else d end", LAST),
        ("case when n = 0 then t when t - d < interval '1 second' then t else d end", MIDNIGHT),
        ("case d when m then true else case when n > 0 then d else t end = t end", False),
        ("case cast(d as timestamp) when d then 1 end", 1),
        ("nvl2(t, d, t)", MIDNIGHT),
        ("max(case when n > 0 then t else d end) filter (where t > d)", LAST),
        ("t - d", LAST - MIDNIGHT),
        ("d - m", MIDNIGHT - LAST),
        ("z = '9999-12-31 10:30:15'", True),
        ("z in ('2026-01-01', '9999-12-31T12:30:15+02:00')", True),
        ("to_timestamp(s)", LAST),
        ("to_timestamp(n)", LAST),
        ("to_timestamp(t)", LAST),
        ("to_timestamp(d)", MIDNIGHT),
        ("to_timestamp_seconds(s)", LAST),
        ("to_timestamp_millis(s)", LAST),
        ("to_timestamp_micros(s)", LAST),
        ("to_unixtime(s)", 253_402_252_215),
    ],
)
def test_moments_are_made_and_take_turns_until_the_end_of_all_dates(
    expression: str, expected: object
) -> None:
    assert value(expression, **COLUMNS) == expected


@pytest.mark.parametrize("form", ["{}", "count(*) filter (where {} is not null)"])
@pytest.mark.parametrize(
    "expression",
    [
        "case n when s then true end", "case when t > d then s when s = 'x' then n end",
        "nvl2(n, n, s)", "nvl2(s, s, n)", "case d when n then 1 end",
        "case t when (select max(r.s) from right_src r) then 1 end",
    ],
)  # fmt: skip
def test_a_case_of_unlike_values_is_refused_wherever_it_stands(form: str, expression: str) -> None:
    with pytest.raises(TypesNotComparable):
        value(form.format(expression), **COLUMNS)


@pytest.mark.parametrize("moment", ["t", "m", "z"])
def test_a_series_beyond_what_nanoseconds_reach_is_an_error_and_no_null(moment: str) -> None:
    near = f"{moment} - interval '8000 years'"
    call = "generate_series({0}, {0}, interval '1 day')"

    with pytest.raises(InvalidSql):
        value(call.format(moment), **COLUMNS)
    assert len(value(call.format(near), **COLUMNS)) == 1


def test_a_date_is_looked_for_among_timestamps_until_the_end_of_all_dates() -> None:
    table = pa.table({"id": [1], **COLUMNS, "u": COLUMNS["d"].cast(pa.timestamp("us"))})
    sql = "select id as x from left_src where d in (select r.{} from right_src r)"

    assert evaluated(sql.format("u"), table) == [{"x": 1}]
    assert evaluated(sql.format("t"), table) == []
