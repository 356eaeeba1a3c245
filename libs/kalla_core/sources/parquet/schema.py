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

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARY = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


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


def unified(schemas: Sequence[pa.Schema], paths: Sequence[str]) -> pa.Schema:
    """Return the schema that files of one source are delivered in: the first file's columns.

    A column that is all NULL in some file takes the type it has in others.

    Raises:
        SourceUnreadable: columns with the same name, or files with unlike columns.
    """
    delivered = [{f.name: delivered_type(f.type) for f in schema} for schema in schemas]
    for schema, path in zip(schemas, paths, strict=True):
        _check_names(schema, path)
    found = dict(delivered[0])
    for columns, path in zip(delivered[1:], paths[1:], strict=True):
        _check_same(found, columns, paths[0], path)
        found |= {name: kind for name, kind in columns.items() if not pa.types.is_null(kind)}
    return pa.schema(list(found.items()))


def conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch in the delivered schema, columns found by name; no copy where none differs."""
    if batch.schema.equals(schema):
        return batch
    arrays = [_cast(batch.column(field.name), field.type) for field in schema]
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


def _check_same(
    first: dict[str, pa.DataType], other: dict[str, pa.DataType], first_path: str, path: str
) -> None:
    for name in (*first, *other):
        if name not in first or name not in other:
            has, lacks = (first_path, path) if name in first else (path, first_path)
            raise SourceUnreadable(
                f"`{has}` has the column `{name}`, `{lacks}` has not; files of one source have"
                " the same columns.",
                file=path,
                column=name,
            )
        kinds = (first[name], other[name])
        if kinds[0] != kinds[1] and not any(map(pa.types.is_null, kinds)):
            raise SourceUnreadable(
                f"The column `{name}` is {kinds[0]} in `{first_path}` but {kinds[1]} in `{path}`;"
                " files of one source have the same types.",
                file=path,
                column=name,
            )
