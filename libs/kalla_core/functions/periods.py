"""Beginnings of periods: `date_trunc` and `date_bin` of timestamps in microseconds.

DataFusion computes them in nanoseconds, which end in 2262.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kalla_core.errors import InvalidSql

MOMENT = pa.timestamp("us")
_EPOCH = pa.scalar(0, MOMENT)
_US_OF_DAY = 86_400_000_000


def truncated(units: pa.Array, moments: pa.Array) -> pa.Array:
    """Return when the week, month, quarter, year or shorter unit of each moment began.

    Args:
        units: texts, all the same.
        moments: timestamps[us] without a zone or in UTC.
    """
    if not len(moments):
        return moments
    found = pc.floor_temporal(moments.cast(MOMENT), unit=units[0].as_py().lower())
    return found.cast(moments.type)


def binned(strides: pa.Array, moments: pa.Array, origins: pa.Array | None = None) -> pa.Array:
    """Return where the bin of each moment begins, counted from an origin, without one from 1970.

    Args:
        strides: month_day_nano intervals, all the same.
        moments: timestamps[us] without a zone.
        origins: likewise, all the same.

    Raises:
        InvalidSql: the stride is not longer than nothing, has months beside days, or parts of a
            microsecond.
    """
    origin = _EPOCH if origins is None or not len(origins) else origins[0]
    if not len(moments) or not strides[0].is_valid or not origin.is_valid:
        return pa.nulls(len(moments), MOMENT)
    null = pc.is_null(moments).to_numpy(zero_copy_only=False)
    found = pc.fill_null(moments, _EPOCH).to_numpy(zero_copy_only=False)
    months, days, nanoseconds = strides[0].as_py()
    start = np.datetime64(origin.value, "us")
    if months:
        if days or nanoseconds or months < 0:
            raise InvalidSql("date_bin takes a stride of months, or one of days and hours.")
        return pa.array(_months_before(found, months, start), MOMENT, mask=null)
    stride, rest = divmod(days * _US_OF_DAY * 1000 + nanoseconds, 1000)
    if rest or stride <= 0:
        raise InvalidSql("date_bin takes a stride of whole microseconds, longer than nothing.")
    since = (found - start).astype(np.int64)
    return pa.array(found - (since % stride).astype("timedelta64[us]"), MOMENT, mask=null)


def _months_before(
    found: NDArray[np.datetime64], months: int, start: np.datetime64
) -> NDArray[np.datetime64]:
    """Return the last of the moments that are any multiple of `months` from `start`."""
    passed = (found.astype("M8[M]") - start.astype("M8[M]")).astype(np.int64)
    count = passed // months
    begun = _later(start, count * months)
    return np.where(begun > found, _later(start, (count - 1) * months), begun)


def _later(start: np.datetime64, months: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return moments whole months after `start`, on the last day of months that are too short."""
    month = start.astype("M8[M]")
    since = start - month.astype("M8[us]")
    days, time = np.divmod(since.astype(np.int64), _US_OF_DAY)
    reached = month + months.astype("m8[M]")
    last = ((reached + 1).astype("M8[D]") - reached.astype("M8[D]")).astype(np.int64) - 1
    offset = np.minimum(last, days) * _US_OF_DAY + time
    later: NDArray[np.datetime64] = reached.astype("M8[us]") + offset.astype("m8[us]")
    return later
