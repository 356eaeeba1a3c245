"""Rows that travel together: of some blocks one row comes, with all values of each column in one.

What a row costs is mostly that it is one: the server makes a message of it, and the driver takes
that apart value by value. So the server adds up texts with a mark between them, and numbers, days
and moments in binary, and here they are told apart at once. A mark or the sign for NULL may be in
a text as well; then the counts do not agree, and the rows have to be read one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.sources.postgres.quoting import identifier
from kalla_core.sources.postgres.types import Typed, Wire
from kalla_core.sources.postgres.wire import expression

BUNDLE_BLOCKS = 256
"""Of a table whose values all lie in its own blocks: 2 MiB of these.

The most that a block can hold packed, four values of 2 KiB each, is then half of what PostgreSQL
adds up to one value.
"""

_MOST_TEXT_BYTES = 32 << 20
"""Of a column in one bundle, unpacked; of more, rows come one by one."""

_MOST_COLUMNS = 800
"""Two of what a query selects go to each, and a query selects 1664 at most."""

_MARK, _NULL = 1, 2
_EPOCH_DAYS = 10_957
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000


class _Binary(NamedTuple):
    """How values of one size are sent, and what stands for NULL."""

    send: str
    null: str
    kind: str
    shift: int


_INTEGERS = {
    pa.int16(): _Binary("int2send", "'-32768'::int2", "i2", 0),
    pa.int32(): _Binary("int4send", "'-2147483648'::int4", "i4", 0),
    pa.int64(): _Binary("int8send", "'-9223372036854775808'::int8", "i8", 0),
    pa.date32(): _Binary("date_send", "'infinity'::date", "i4", _EPOCH_DAYS),
    pa.timestamp("us"): _Binary(
        "timestamp_send", "'infinity'::timestamp", "i8", _EPOCH_MICROSECONDS
    ),
}


def can_be_bundled(columns: Sequence[Typed]) -> bool:
    """Whether columns can travel so."""
    return 0 < len(columns) <= _MOST_COLUMNS and all(
        column.wire is Wire.TEXT or _sent_type(column) in _INTEGERS for column in columns
    )


def bundle_list(columns: Sequence[Typed]) -> str:
    """Return what a query selects for all values of `columns`; `unbundled` knows it by position."""
    sent = ["count(*)"]
    for column in columns:
        sent += [_added_up(column), f"count({identifier(column.name)})"]
    return ", ".join(f"{sql} AS b{index}" for index, sql in enumerate(sent))


def unbundled(bundle: pa.RecordBatch, columns: Sequence[Typed]) -> pa.RecordBatch | None:
    """Return the rows of a bundle as `received` takes them; None if they cannot be told apart."""
    rows = bundle.column(0)[0].as_py()
    arrays = []
    for index, column in enumerate(columns):
        if rows and bundle.column(2 * index + 1).null_count:
            return None
        nulls = rows - bundle.column(2 * index + 2)[0].as_py()
        values = _bytes(bundle.column(2 * index + 1))
        array = (
            _texts(values, rows, nulls)
            if column.wire is Wire.TEXT
            else _numbers(values, _sent_type(column), nulls)
        )
        if array is None:
            return None
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, [f"c{index}" for index in range(len(arrays))])


def _sent_type(column: Typed) -> pa.DataType | None:
    if column.wire in (Wire.SCALED, Wire.INTEGER):
        return pa.int64()
    return column.type if column.wire is Wire.PLAIN else None


def _added_up(column: Typed) -> str:
    sql = expression(column)
    if column.wire is Wire.TEXT:
        together = f"string_agg(coalesce({sql}, E'\\x{_NULL:02}'), E'\\x{_MARK:02}')"
        fits = f"coalesce(sum(octet_length({sql})), 0) <= {_MOST_TEXT_BYTES}"
        return f"CASE WHEN {fits} THEN {together} END"
    binary = _INTEGERS[_sent_type(column)]
    return f"string_agg({binary.send}(coalesce({sql}, {binary.null})), '')"


def _bytes(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the only value of a text or binary column; none is empty."""
    _, offsets, data = column.buffers()
    start, end = np.frombuffer(offsets, np.int32, 2, 4 * column.offset)
    if data is None or start == end:
        return np.zeros(0, dtype=np.uint8)
    return np.frombuffer(data, np.uint8, end - start, start)


def _texts(values: npt.NDArray[np.uint8], rows: int, nulls: int) -> pa.Array | None:
    kept = values != _MARK
    ends = np.append(np.flatnonzero(~kept), len(values)) if rows else np.zeros(0, dtype=np.int64)
    if len(ends) != rows:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1]) if rows else ends
    lengths = ends - starts
    validity = None
    if nulls:
        short = np.flatnonzero(lengths == 1)
        missing = short[values[starts[short]] == _NULL]
        if len(missing) != nulls:
            return None
        kept[starts[missing]] = False
        lengths[missing] = 0
        valid = np.ones(rows, dtype=np.bool_)
        valid[missing] = False
        validity = _bits(valid)
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(values[kept])]
    return pa.Array.from_buffers(pa.string(), rows, buffers, nulls)


def _numbers(
    values: npt.NDArray[np.uint8], kind: pa.DataType | None, nulls: int
) -> pa.Array | None:
    binary = _INTEGERS[kind]
    numbers = values.view(f">{binary.kind}").astype(binary.kind)
    validity = None
    if nulls:
        bounds = np.iinfo(binary.kind)
        missing = numbers == (bounds.max if binary.shift else bounds.min)
        if int(np.count_nonzero(missing)) != nulls:
            return None
        numbers[missing] = 0
        validity = _bits(~missing)
    if binary.shift:
        numbers += np.array(binary.shift, dtype=binary.kind)
    return pa.Array.from_buffers(kind, len(numbers), [validity, pa.py_buffer(numbers)], nulls)


def _bits(valid: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))
