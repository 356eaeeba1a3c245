"""The order of candidates by their rank columns, as numbers that `settle` compares.

Ranks are dense: equal values of all columns have one number, the next larger the next. Nulls come
last, and NaN before them, whichever way a column is ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.components import Ints
from kalla_core.assignment.units import LARGEST as _LARGEST
from kalla_core.assignment.units import TooWide, minor_units

_FRACTION = 9
"""Decimals of floats that a margin looks at: 0.95 and 0.90 are 0.05 apart, as they are printed."""


@dataclass(frozen=True, slots=True)
class RankColumn:
    """A column that candidates are ordered by, one value for each."""

    values: pa.ChunkedArray
    descending: bool = False


def is_ordered(kind: pa.DataType) -> bool:
    """Whether values of a type have an order."""
    if pa.types.is_dictionary(kind):
        return is_ordered(kind.value_type)
    return not (pa.types.is_nested(kind) or pa.types.is_interval(kind))


def has_distance(kind: pa.DataType) -> bool:
    """Whether a margin can be measured between values of a type: numbers, and days of dates."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_date(kind)
    )


def dense_ranks(columns: Sequence[RankColumn], count: int) -> Ints:
    """Return the rank of each of `count` candidates, from 0; all 0 where there is no column."""
    if not columns or not count:
        return np.zeros(count, dtype=np.int64)
    plain = [_plain(column.values) for column in columns]
    table = pa.table({f"c{n}": column for n, column in enumerate(plain)})
    keys = [
        (f"c{n}", "descending" if column.descending else "ascending")
        for n, column in enumerate(columns)
    ]
    order = pc.sort_indices(table, sort_keys=keys)
    changed = np.zeros(count, dtype=np.bool_)
    for column in table.take(order).columns:
        changed[1:] |= _changes(column.combine_chunks())
    ranks: Ints = np.empty(count, dtype=np.int64)
    ranks[order.to_numpy()] = np.cumsum(changed)
    return ranks


def reach_within(ranks: Ints, first: RankColumn, margin: Decimal) -> Ints:
    """Return for each candidate the worst rank whose first column is nearer than the margin.

    Args:
        ranks: as `dense_ranks` gave them.
        first: the first of the rank columns.

    Raises:
        TooWide: the values have too many digits.
    """
    if not len(ranks):
        return ranks
    _, at = np.unique(ranks, return_index=True)
    values = _plain(first.values).take(pa.array(at)).combine_chunks()
    known = pc.is_valid(values).to_numpy(zero_copy_only=False)
    scaled, step = _scaled(values.filter(pa.array(known)), margin)
    if first.descending:
        scaled = -scaled
    reach: Ints = np.full(len(at), len(at) - 1, dtype=np.int64)
    # Nulls are last, and as far from each other as equals; what is known comes before.
    reach[: len(scaled)] = np.searchsorted(scaled, scaled + step, side="left") - 1
    reach = np.maximum(reach, np.arange(len(at), dtype=np.int64))
    return reach[ranks]


def whole_scores(values: pa.ChunkedArray) -> Ints:
    """Return scores as whole numbers of one unit; 0 for null and NaN, floats to nine decimals.

    Raises:
        TooWide: the values have too many digits, or are infinite.
    """
    plain = _plain(values).combine_chunks()
    if pa.types.is_floating(plain.type):
        plain = pc.if_else(pc.is_nan(plain), pa.scalar(None, plain.type), plain)
    known = pc.is_valid(plain).to_numpy(zero_copy_only=False)
    scores: Ints = np.zeros(len(plain), dtype=np.int64)
    scores[known], _ = _scaled(plain.filter(pa.array(known)), Decimal(0))
    return scores


def is_score(kind: pa.DataType) -> bool:
    """Whether values of a type can be added up: numbers."""
    return has_distance(kind) and not pa.types.is_date(kind)


def _scaled(values: pa.Array, margin: Decimal) -> tuple[Ints, int]:
    """Return values as whole numbers of one unit, and the margin in it, rounded up."""
    kind = values.type
    if pa.types.is_floating(kind):
        scale = _FRACTION
        numbers = np.clip(values.cast(pa.float64()).to_numpy(), -1e300, 1e300) * 10.0**scale
        if len(numbers) and not np.abs(np.nan_to_num(numbers)).max() < _LARGEST:
            raise TooWide
        # NaN is behind all numbers and before nulls.
        units = np.where(np.isnan(numbers), _LARGEST, np.rint(np.nan_to_num(numbers)))
        return units.astype(np.int64), _steps(margin, scale)
    if pa.types.is_date(kind):
        days = values.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
        return days, _steps(margin, 0)
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    return minor_units(values, scale), _steps(margin, scale)


def _steps(margin: Decimal, scale: int) -> int:
    units = margin.scaleb(scale)
    return min(int(units.to_integral_value(rounding="ROUND_CEILING")), _LARGEST)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type)
    if pa.types.is_null(kind):
        return values.cast(pa.int8())
    return values


def _changes(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Return where values in order differ from those before them; null equals null, NaN NaN."""
    before, after = values[:-1], values[1:]
    differs = pc.not_equal(before, after)
    if pa.types.is_floating(values.type):
        both = pc.and_(pc.is_nan(before), pc.is_nan(after))
        differs = pc.and_(differs, pc.invert(both))
    lone = pc.xor(pc.is_valid(before), pc.is_valid(after))
    found: npt.NDArray[np.bool_] = pc.if_else(lone, True, differs.fill_null(False)).to_numpy(
        zero_copy_only=False
    )
    return found
