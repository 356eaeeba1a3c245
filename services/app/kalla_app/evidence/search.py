"""Which rows hold a text in some column, in whatever case. Pure; arrays at a time.

A column is looked through only if its values can hold the text at all, and where few values are
repeated, each value once.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_DIGITS = frozenset("0123456789-")
_NARROW_BYTES = 1.5
"""Bytes a value, packed or not, below which a column can only hold values that are repeated."""


def holding(table: pa.Table | pa.RecordBatch, q: str) -> pa.Array:
    """Return which rows hold a text."""
    holds = pa.array(np.zeros(table.num_rows, np.bool_))
    for place, field in enumerate(table.schema):
        if may_hold(field.type, q):
            column = table.column(place)
            chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
            found = [_of(chunk, q) for chunk in chunks]
            if found:
                holds = pc.or_(holds, pa.concat_arrays(found))
    return holds


def may_hold(kind: pa.DataType, q: str) -> bool:
    """Whether the text of a value of a type can hold a text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return False
    signs = _signs(kind)
    return signs is None or signs.issuperset(q.lower())


def narrow(file: pq.FileMetaData) -> list[str]:
    """Return columns of text whose values are repeated, by what their first row group says."""
    if file.num_row_groups == 0:
        return []
    group = file.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    return [
        one.path_in_schema
        for one in columns
        if one.physical_type == "BYTE_ARRAY"
        and one.total_uncompressed_size < _NARROW_BYTES * max(one.num_values, 1)
    ]


def _signs(kind: pa.DataType) -> frozenset[str] | None:
    """Return what texts of a type are made of, in lower case; None where that may be anything."""
    if pa.types.is_integer(kind) or pa.types.is_date(kind):
        return _DIGITS
    if pa.types.is_decimal(kind):
        return _DIGITS | frozenset(".e+")
    if pa.types.is_boolean(kind):
        return frozenset("truefalse")
    return None


def _of(array: pa.Array, q: str) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return pc.fill_null(_of(array.dictionary, q).take(array.indices), False)
    if pa.types.is_boolean(array.type) or pa.types.is_date(array.type) or _are_close(array):
        # There are not many of them; a text of each is made once.
        array = array.dictionary_encode()
        if 2 * len(array.dictionary) < len(array):
            texts = pc.cast(array.dictionary, pa.string())
            return pc.fill_null(_found(texts, q).take(array.indices), False)
        array = array.dictionary_decode()
    return pc.fill_null(_found(pc.cast(array, pa.string()), q), False)


def _are_close(array: pa.Array) -> bool:
    """Whether values are whole numbers so close to each other that many must be the same."""
    if not pa.types.is_integer(array.type):
        return False
    found = pc.min_max(array).as_py()
    return found["min"] is not None and found["max"] - found["min"] < len(array) // 2


def _found(texts: pa.Array, q: str) -> pa.Array:
    if q.lower() == q.upper():
        return pc.match_substring(texts, q)
    if q.isascii():
        return pc.match_substring(pc.ascii_lower(texts), q.lower())
    return pc.match_substring(texts, q, ignore_case=True)
