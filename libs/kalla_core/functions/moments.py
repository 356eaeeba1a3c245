"""Dates and timestamps: brought onto one clock, and the days between them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kalla_core.functions.numbers import days_in_seconds, of_moments

_NS_DIGITS = 9


def on_one_clock(a: pa.Array, b: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return both; a date beside a zoned timestamp becomes its midnight in that zone."""
    zone_a, zone_b = zone_of(a.type), zone_of(b.type)
    if zone_a is None and zone_b is not None:
        return _midnight(a, zone_b), b
    if zone_b is None and zone_a is not None:
        return a, _midnight(b, zone_a)
    return a, b


def zone_of(data_type: pa.DataType) -> str | None:
    """Return the zone of a timestamp that has one."""
    return data_type.tz if pa.types.is_timestamp(data_type) else None


def days_between(a: pa.Array, b: pa.Array) -> pa.Array:
    """Return int64: the whole days from `a` to `b`, less than zero where `b` is the earlier.

    What is left of a day does not count: 36 hours are one day, in either direction.
    """
    null = pc.or_(pc.is_null(a), pc.is_null(b)).to_numpy(zero_copy_only=False)
    (day_a, rest_a), (day_b, rest_b) = (days_and_rest(one) for one in on_one_clock(a, b))
    days, rest = day_b - day_a, rest_b - rest_a
    days += (days < 0) & (rest > 0)
    days -= (days > 0) & (rest < 0)
    return pa.array(days, mask=null)


def days_and_rest(moments: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the days since 1970, and the nanoseconds since they began; of null, anything."""
    found = of_moments(moments)
    per_day = int(days_in_seconds(1).units[0]) * 10**found.scale
    days, rest = np.divmod(found.units, np.int64(per_day))
    return days, rest * np.int64(10 ** (_NS_DIGITS - found.scale))


def _midnight(dates: pa.Array, zone: str) -> pa.Array:
    # Where clocks skip midnight the day begins when they go on; where they repeat it, at the first.
    local = dates.cast(pa.timestamp("ms" if pa.types.is_date64(dates.type) else "s"))
    return pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest")
