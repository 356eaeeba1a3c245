"""Rows of Arrow batches as JSON objects, by kernels: no Python per row.

Integers, floats and booleans are JSON's; NaN and infinity are text, for JSON has no word for them.
Decimals, dates and times are text, because a JSON number is a float to most readers. Times are
RFC 3339; zoned ones in UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_ROWS_AT_ONCE = 4096
_CONTROL = "[\\x00-\\x1f]"


def json_rows(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Yield the rows of a batch, comma-separated, in pieces; a piece holds whole rows."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        yield _joined(_objects(batch.slice(start, _ROWS_AT_ONCE))).encode()


def json_texts(column: pa.Array) -> pa.Array:
    """Return each value as JSON text; null is `null`."""
    return pc.fill_null(_texts(column), "null")


def _objects(batch: pa.RecordBatch) -> pa.Array:
    if batch.num_columns == 0:
        return pa.array(["{}"] * batch.num_rows, pa.string())
    pieces: list[object] = []
    for number, (field, column) in enumerate(zip(batch.schema, batch.columns, strict=True)):
        head = "{" if number == 0 else ","
        pieces += [f"{head}{json.dumps(field.name, ensure_ascii=False)}:", json_texts(column)]
    return pc.binary_join_element_wise(*pieces, "}", "")


def _joined(texts: pa.Array) -> str:
    listed = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts)
    return str(pc.binary_join(listed, ",\n")[0].as_py())


def _texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "true", "false")
    if pa.types.is_floating(kind):
        texts = column.cast(pa.float64()).cast(pa.string())
        return pc.if_else(pc.is_finite(column.cast(pa.float64())), texts, _quoted(texts))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _quoted(_escaped(column.cast(pa.string())))
    if pa.types.is_timestamp(kind):
        return _quoted(_times(column))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return _quoted(column.cast(pa.string()))
    # Lists, maps, structs, bytes: rare in evidence, and no kernel writes them.
    values = [
        None if value is None else json.dumps(value, ensure_ascii=False, default=_plain)
        for value in column.cast(_for_python(kind)).to_pylist()
    ]
    return pa.array(values, pa.string())


def _for_python(kind: pa.DataType) -> pa.DataType:
    """Return a type like `kind` with text for what Python holds in part: no year 10000, no ns."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_for_python(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(
            kind.key_field.with_type(_for_python(kind.key_type)),
            kind.item_field.with_type(_for_python(kind.item_type)),
        )
    if pa.types.is_fixed_size_list(kind):
        items = kind.value_field.with_type(_for_python(kind.value_type))
        return pa.list_(items, kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_for_python(kind.value_type)))
    return pa.string() if pa.types.is_temporal(kind) else kind


def _times(column: pa.Array) -> pa.Array:
    if column.type.tz is None:
        texts = column.cast(pa.string())
    else:
        utc = column.cast(pa.timestamp(column.type.unit, "UTC"))
        texts = utc.cast(pa.string())
    return pc.replace_substring(texts, " ", "T", max_replacements=1)


def _quoted(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', texts, '"', "")


def _escaped(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    if pc.any(pc.match_substring_regex(texts, _CONTROL)).as_py():
        for number in range(0x20):
            texts = pc.replace_substring(texts, chr(number), f"\\u{number:04x}")
    return texts


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as JSON has them, exact."""
    pieces = (piece for batch in table.to_batches() for piece in json_rows(batch))
    return [row for piece in pieces for row in json.loads(b"[" + piece + b"]")]
