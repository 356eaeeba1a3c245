"""Dates and timestamps beyond 2262, where nanoseconds end, are values like others."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from tests.unit.matching.test_exact import value

LAST = dt.datetime(9999, 12, 31, 10, 30, 15)
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
