"""Arrow types as the evidence stores them.

What a Parquet file cannot hold, or holds in a way that other readers stumble over, is brought to
the nearest type that keeps every value; what has none is refused by `stored_type`.

| Arrow type | stored as |
|---|---|
| null | string, all null |
| decimal with a negative scale | decimal of scale 0, as many digits wider |
| string view, large string; binary view, large binary | string; binary |
| dictionary, run-end encoded | their values' type |
| timestamp(s), time32(s) | timestamp(ms), time32(ms) |
| date64 | date32 |
| list, large list, fixed-size list, map, struct | the same over stored types |
| interval, union, empty struct, views of lists whose items are not stored as they are | refused |
| all others, times of day and durations included | as they are |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

_DECIMAL128_DIGITS = 38
_DECIMAL256_DIGITS = 76

_RENAMED: dict[pa.DataType, pa.DataType] = {
    pa.null(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_string(): pa.string(),
    pa.binary_view(): pa.binary(),
    pa.large_binary(): pa.binary(),
    pa.time32("s"): pa.time32("ms"),
    pa.date64(): pa.date32(),
}


Column: TypeAlias = pa.Array | pa.ChunkedArray


class UnstorableTypeError(TypeError):
    """A type that Parquet cannot hold."""


def stored_type(arrow: pa.DataType) -> pa.DataType:
    """Return the type that columns of type `arrow` have in evidence.

    Raises:
        UnstorableTypeError: there is none; the message is the type's name.
    """
    if arrow in _RENAMED:
        return _RENAMED[arrow]
    for applies, change in _CHANGES:
        if applies(arrow):
            return change(arrow)
    return arrow


def store(column: Column, stored: pa.DataType) -> Column:
    """Return `column`, in chunks or not, as the type that `stored_type` gave for its own."""
    if column.type == stored:
        return column
    if pa.types.is_run_end_encoded(column.type):
        return store(pc.run_end_decode(column), stored)
    # Unsafe only in name: a date64 with a time of day loses it, as it does in Parquet.
    return column.cast(stored, safe=not pa.types.is_date64(column.type))


def _decimal(arrow: pa.DataType) -> pa.DataType:
    if arrow.scale >= 0:
        return arrow
    digits = arrow.precision - arrow.scale
    if digits <= _DECIMAL128_DIGITS:
        return pa.decimal128(digits, 0)
    if digits <= _DECIMAL256_DIGITS:
        return pa.decimal256(digits, 0)
    raise UnstorableTypeError(str(arrow))


def _timestamp(arrow: pa.DataType) -> pa.DataType:
    return pa.timestamp("ms", arrow.tz) if arrow.unit == "s" else arrow


def _values(arrow: pa.DataType) -> pa.DataType:
    return stored_type(arrow.value_type)


def _item(arrow: pa.DataType) -> pa.Field:
    return arrow.value_field.with_type(stored_type(arrow.value_type))


def _list_view(arrow: pa.DataType) -> pa.DataType:
    # pyarrow cannot be trusted to cast views of lists: 26.0 loses items.
    if stored_type(arrow.value_type) != arrow.value_type:
        raise UnstorableTypeError(str(arrow))
    return arrow


def _map(arrow: pa.DataType) -> pa.DataType:
    return pa.map_(stored_type(arrow.key_type), stored_type(arrow.item_type))


def _struct(arrow: pa.DataType) -> pa.DataType:
    if arrow.num_fields == 0:
        raise UnstorableTypeError(str(arrow))
    return pa.struct([child.with_type(stored_type(child.type)) for child in arrow])


def _refused(arrow: pa.DataType) -> pa.DataType:
    raise UnstorableTypeError(str(arrow))


_CHANGES: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], pa.DataType]], ...] = (
    (pa.types.is_decimal, _decimal),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_dictionary, _values),
    (pa.types.is_run_end_encoded, _values),
    (pa.types.is_list, lambda arrow: pa.list_(_item(arrow))),
    (pa.types.is_large_list, lambda arrow: pa.large_list(_item(arrow))),
    (pa.types.is_fixed_size_list, lambda arrow: pa.list_(_item(arrow), arrow.list_size)),
    (pa.types.is_list_view, _list_view),
    (pa.types.is_large_list_view, _list_view),
    (pa.types.is_map, _map),
    (pa.types.is_struct, _struct),
    (pa.types.is_union, _refused),
    (pa.types.is_interval, _refused),
)
