"""How old exceptions are, and how much that matters. Pure; arrays at a time.

| bucket  | days since     | | severity   | from days | or from an amount of |
|---------|----------------|-|------------|-----------|----------------------|
| `0-1`   | 0 and 1        | | `low`      | 0         | 0                    |
| `2-7`   | 2 to 7         | | `medium`   | 2         | 1 000                |
| `8-30`  | 8 to 30        | | `high`     | 8         | 10 000               |
| `31-90` | 31 to 90       | | `critical` | 31        | 100 000              |
| `91+`   | 91 and more    | |            |           |                      |
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.moments import micros

Micros = npt.NDArray[np.int64]
Days = npt.NDArray[np.int32]
Ranks = npt.NDArray[np.int8]

BUCKETS = ("0-1", "2-7", "8-30", "31-90", "91+")
_BUCKET_DAYS = (2, 8, 31, 91)
_SEVERE_DAYS = (2, 8, 31)
_SEVERE_AMOUNTS = (1_000, 10_000, 100_000)
_DAY_MICROS = 86_400_000_000


class Severity(IntEnum):
    """How much an exception matters, by its age and its amount in its own currency."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """As pages and answers have it."""
        return self.name.lower()


def days_of(since: Micros, now: datetime) -> Days:
    """Return whole days since moments; what lies ahead is 0 days old."""
    return np.maximum(0, (micros(now) - since) // _DAY_MICROS).astype(np.int32)


def buckets_of(days: Days) -> npt.NDArray[np.intp]:
    """Return the place in `BUCKETS` of each age."""
    return np.searchsorted(_BUCKET_DAYS, days, side="right")


def severities_of(days: Days, amounts: Ranks) -> Ranks:
    """Return the `Severity` of each age and rank of its amount: the greater of the two."""
    by_age = np.searchsorted(_SEVERE_DAYS, days, side="right").astype(np.int8)
    worst: Ranks = np.maximum(by_age, amounts)
    return worst


def ranks_of(amounts: pa.ChunkedArray | pa.Array) -> Ranks:
    """Return the `Severity` that decimals have by their size; null is low."""
    ranks = np.zeros(len(amounts), np.int8)
    kind = amounts.type
    if kind.bit_width < 128:  # these have no `abs`
        kind = pa.decimal128(38, kind.scale)
        amounts = amounts.cast(kind)
    size = pc.abs(amounts)
    for least in _SEVERE_AMOUNTS:
        if kind.precision - kind.scale >= len(
            str(least)
        ):  # else no amount of the column reaches it
            limit = pa.scalar(Decimal(least), kind)
            is_more = pc.fill_null(pc.greater_equal(size, limit), False)
            ranks += is_more.to_numpy(zero_copy_only=False).astype(np.int8)
    return ranks
