"""How values travel: the SQL that sends them, and the Arrow kernels that receive them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.postgres.quoting import identifier
from kalla_core.sources.postgres.types import LISTS, Typed, Wire, text_instead

# The first moments that Postgres has. What comes out smaller is an infinity, or beyond the year
# 294246, which wraps around on the way from Postgres' epoch to Arrow's.
_FIRST_DAY = -2_440_588
_FIRST_MICROSECOND = _FIRST_DAY * 86_400_000_000
_DAY_US = 86_400_000_000


def expression(column: Typed) -> str:
    """Return the SQL that sends a column."""
    name = identifier(column.name)
    match column.wire:
        case Wire.PLAIN | Wire.LIST:
            return name
        case Wire.TEXT:
            return f"{name}::text"
        case Wire.INTEGER:
            return f"{name}::int8"
        case Wire.DECIMAL:
            return f"{name}::numeric::text"
        case Wire.TEXT_LIST | Wire.DECIMAL_LIST:
            return f"{name}::text[]"
        case Wire.SCALED:
            scale = 0 if column.type is None else column.type.scale
            return f"({name}::numeric * 1{'0' * scale})::int8" if scale else f"{name}::int8"


def select_list(columns: Sequence[Typed]) -> str:
    """Return what a query selects for `columns`; `received` knows it by position.

    An array's dimensions are lost on the way, so whether it has one is sent beside it.
    """
    sent = [expression(column) for column in columns]
    sent += [_is_odd(column) for column in columns if column.wire in LISTS]
    named = [f"{sql} AS c{index}" for index, sql in enumerate(sent)]
    return ", ".join(named) or "true AS c0"


def received(batch: pa.RecordBatch, columns: Sequence[Typed], schema: pa.Schema) -> pa.RecordBatch:
    """Return what `select_list` sent as a batch of `schema`.

    Raises:
        SourceUnreadable: a value that the column's Arrow type does not have.
    """
    if not columns:
        return batch.select([])
    odd = len(columns)
    arrays = []
    for index, column in enumerate(columns):
        if column.wire in LISTS:
            _check_lists(column, batch.column(odd))
            odd += 1
        arrays.append(_array(batch.column(index), column))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _is_odd(column: Typed) -> str:
    name = identifier(column.name)
    return f"coalesce(array_ndims({name}) > 1 OR array_lower({name}, 1) <> 1, false)"


def _check_lists(column: Typed, odd: pa.BooleanArray) -> None:
    if pc.any(odd).as_py():
        raise SourceUnreadable(
            f"The column `{column.name}` holds an array of several dimensions, or one that does"
            f" not start at 1. {text_instead(column.name)}",
            column=column.name,
        )


def _array(sent: pa.Array, column: Typed) -> pa.Array:
    match column.wire:
        case Wire.SCALED:
            return _from_scaled(sent, column.type)
        case Wire.DECIMAL:
            return _decimals(sent, column)
        case Wire.DECIMAL_LIST:
            return _list_of(_decimals(sent.flatten(), column), sent, column)
        case Wire.LIST:
            _check(sent.flatten(), column)
            return sent.cast(column.type)
        case Wire.TEXT_LIST:
            return sent.cast(column.type)
        case _:
            _check(sent, column)
            return sent if sent.type == column.type else sent.cast(column.type)


def _from_scaled(sent: pa.Array, kind: pa.DataType | None) -> pa.Array:
    """Return whole numbers as decimals: 128 bits each, the upper half filled with the sign."""
    validity, data = (pa.concat_arrays([sent]) if sent.offset else sent).buffers()
    low = np.frombuffer(data, dtype="<i8", count=len(sent))
    wide = np.empty((len(sent), 2), dtype="<i8")
    wide[:, 0] = low
    np.right_shift(low, 63, out=wide[:, 1])
    return pa.Array.from_buffers(kind, len(sent), [validity, pa.py_buffer(wide)], sent.null_count)


def _decimals(sent: pa.Array, column: Typed) -> pa.Array:
    kind: pa.DataType = column.type
    if pa.types.is_list(kind):
        kind = kind.value_type
    try:
        return sent.cast(kind)
    except pa.ArrowInvalid as error:
        raise SourceUnreadable(
            f"The column `{column.name}` holds a value that is no {kind}: {error}."
            f" {text_instead(column.name)}",
            column=column.name,
        ) from error


def _list_of(values: pa.Array, sent: pa.ListArray, column: Typed) -> pa.Array:
    offsets = pc.subtract(sent.offsets, sent.offsets[0])
    mask = sent.is_null() if sent.null_count else None
    return pa.ListArray.from_arrays(offsets, values, type=column.type, mask=mask)


def _check(values: pa.Array, column: Typed) -> None:
    """Raise for moments that Postgres has and Arrow has not."""
    if pa.types.is_date(values.type):
        too_early = pc.less(values.cast(pa.int32()), _FIRST_DAY)
    elif pa.types.is_timestamp(values.type):
        too_early = pc.less(values.cast(pa.int64()), _FIRST_MICROSECOND)
    elif pa.types.is_time(values.type):
        too_early = pc.greater_equal(values.cast(pa.int64()), _DAY_US)
    else:
        return
    if pc.any(too_early).as_py():
        what = "24:00" if pa.types.is_time(values.type) else "an infinity, or a year after 294246"
        raise SourceUnreadable(
            f"The column `{column.name}` holds {what}, which no {values.type} can be."
            f" {text_instead(column.name)}",
            column=column.name,
        )
