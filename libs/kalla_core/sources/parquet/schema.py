"""Which types the rows of Parquet files are delivered in.

Types that differ only in how Arrow keeps them become one: text is `string`, binary data `binary`,
lists are `list`; dictionaries, extensions and run-ends give way to what they hold; decimals have
128 or 256 bits; half floats become floats. All else stays, and so does the type `null` of a column
that has no value in any file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.column_types import INTEGER_DIGITS, MAX_DECIMAL_DIGITS, decimal_type
from kalla_core.sources.parquet.uuids import uuid_texts

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARY = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)

_SIGNED = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_FINER = ("s", "ms", "us")


def delivered_type(stored: pa.DataType) -> pa.DataType:
    """Return the type in which a column of a stored type is delivered; NULL stays NULL."""
    types = pa.types
    if isinstance(stored, pa.BaseExtensionType):
        return delivered_type(stored.storage_type)
    if types.is_dictionary(stored) or types.is_run_end_encoded(stored):
        return delivered_type(stored.value_type)
    if any(is_text(stored) for is_text in _TEXT):
        return pa.string()
    if any(is_binary(stored) for is_binary in _BINARY):
        return pa.binary()
    if types.is_float16(stored):
        return pa.float32()
    if types.is_decimal32(stored) or types.is_decimal64(stored):
        return pa.decimal128(stored.precision, stored.scale)
    return _nested(stored)


def is_uuid(stored: pa.DataType) -> bool:
    """Return whether values are UUIDs; such columns are delivered as texts."""
    return isinstance(stored, pa.UuidType)


def unified(schemas: Sequence[pa.Schema], paths: Sequence[str]) -> pa.Schema:
    """Return the schema that files of one source are delivered in: their columns by name.

    A column that is all NULL in some file takes the type it has in others; integers, floats,
    decimals and timestamps become what holds all of them exactly.

    Raises:
        SourceUnreadable: columns with the same name, or of types that do not go together.
    """
    for schema, path in zip(schemas, paths, strict=True):
        _check_names(schema, path)
    found: dict[str, tuple[pa.DataType, str]] = {}
    for schema, path in zip(schemas, paths, strict=True):
        for field in schema:
            kind = pa.string() if is_uuid(field.type) else delivered_type(field.type)
            before, first = found.get(field.name, (pa.null(), path))
            wider = _widened(before, kind)
            if wider is None:
                raise _unlike(field.name, (before, first), (kind, path))
            found[field.name] = (wider, path if pa.types.is_null(before) else first)
    return pa.schema([(name, kind) for name, (kind, _) in found.items()])


def conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch in the delivered schema, columns found by name; no copy where none differs."""
    if batch.schema.equals(schema):
        return batch
    arrays = [
        _cast(batch.column(field.name), field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _nested(stored: pa.DataType) -> pa.DataType:
    types = pa.types
    if any(is_list(stored) for is_list in _LISTS):
        return pa.list_(delivered_type(stored.value_type))
    if types.is_fixed_size_list(stored):
        return pa.list_(delivered_type(stored.value_type), stored.list_size)
    if types.is_struct(stored):
        return pa.struct([(field.name, delivered_type(field.type)) for field in stored])
    if types.is_map(stored):
        return pa.map_(delivered_type(stored.key_type), delivered_type(stored.item_type))
    return stored


def _cast(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if is_uuid(values.type) and pa.types.is_string(wanted):
        return uuid_texts(values.storage)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if isinstance(values, pa.DictionaryArray):
        return _cast(values.dictionary, wanted).take(values.indices)
    return values if values.type == wanted else pc.cast(values, wanted)


def _check_names(schema: pa.Schema, path: str) -> None:
    for name, count in Counter(schema.names).items():
        if count > 1:
            raise SourceUnreadable(
                f"`{path}` has {count} columns named `{name}`; names must differ.",
                file=path,
                column=name,
            )


def _widened(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both exactly; None if there is none."""
    types = pa.types
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if all(map(types.is_floating, (one, other))):
        return max(one, other, key=lambda kind: int(kind.bit_width))
    if all(map(types.is_integer, (one, other))):
        return _integer(one, other)
    if all(map(types.is_timestamp, (one, other))):
        return _moment(one, other)
    if (first := _as_decimal(one)) and (second := _as_decimal(other)):
        scale = max(first.scale, second.scale)
        whole = max(kind.precision - kind.scale for kind in (first, second))
        return decimal_type(whole + scale, scale) if whole + scale <= MAX_DECIMAL_DIGITS else None
    return None


def _integer(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the narrowest integer that holds both; a decimal where 64 bits with a sign do not."""
    if pa.types.is_signed_integer(one) == pa.types.is_signed_integer(other):
        return max(one, other, key=lambda kind: int(kind.bit_width))
    signed, bare = (one, other) if pa.types.is_signed_integer(one) else (other, one)
    width = max(int(signed.bit_width), 2 * int(bare.bit_width))
    return _SIGNED.get(width, decimal_type(INTEGER_DIGITS[pa.uint64()], 0))


def _moment(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the finer of two timestamps; none where nanoseconds end before the other does."""
    if one.tz != other.tz or "ns" in (one.unit, other.unit):
        return None
    return max(one, other, key=lambda kind: _FINER.index(kind.unit))


def _as_decimal(kind: pa.DataType) -> pa.DataType | None:
    digits = INTEGER_DIGITS.get(kind)
    if digits is not None:
        return decimal_type(digits, 0)
    return kind if pa.types.is_decimal(kind) else None


def _unlike(
    name: str, one: tuple[pa.DataType, str], other: tuple[pa.DataType, str]
) -> SourceUnreadable:
    return SourceUnreadable(
        f"The column `{name}` is {one[0]} in `{one[1]}` but {other[0]} in `{other[1]}`, and no type"
        " holds both exactly.",
        file=other[1],
        column=name,
    )
