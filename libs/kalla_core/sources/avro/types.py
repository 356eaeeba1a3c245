"""From the types of an Avro schema to those of columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from kalla_core.recipe.column_types import MAX_DECIMAL_DIGITS, decimal_type

_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
    "fixed": pa.binary(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
    "uuid": pa.string(),
}
_DEEPEST = 50


class UnknownTypeError(Exception):
    """A type that no column has; the message is a sentence without its subject."""


def columns_of(schema: Any, named: Mapping[str, Any]) -> pa.Schema:
    """Return the columns of files with a schema.

    Args:
        schema: a record, as fastavro parses it.
        named: the types that it refers to by name.

    Raises:
        UnknownTypeError: it is no record, or a field has a type that no column has.
    """
    if not isinstance(schema, Mapping) or schema.get("type") not in ("record", "error"):
        raise UnknownTypeError("holds no records.")
    return pa.schema(
        [
            (field["name"], _type(field["name"], field["type"], named, 0))
            for field in schema["fields"]
        ]
    )


def _type(path: str, schema: Any, named: Mapping[str, Any], depth: int) -> pa.DataType:
    if depth > _DEEPEST:
        raise UnknownTypeError(f"has the field `{path}`, which holds itself.")
    if isinstance(schema, list):
        return _of_union(path, schema, named, depth)
    if isinstance(schema, str):
        if schema in _PLAIN:
            return _PLAIN[schema]
        return _type(path, named[schema], named, depth + 1)
    kind, logical = schema["type"], schema.get("logicalType")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        return _decimal(path, schema)
    if logical in _LOGICAL and kind in ("int", "long", "string"):
        return _LOGICAL[logical]
    if kind == "array":
        return pa.list_(_type(f"{path}[]", schema["items"], named, depth + 1))
    if kind == "map":
        return pa.map_(pa.string(), _type(f"{path}[]", schema["values"], named, depth + 1))
    if kind in ("record", "error"):
        return pa.struct(
            [
                (one["name"], _type(f"{path}.{one['name']}", one["type"], named, depth + 1))
                for one in schema["fields"]
            ]
        )
    return _type(path, kind, named, depth + 1)


def _of_union(path: str, kinds: list[Any], named: Mapping[str, Any], depth: int) -> pa.DataType:
    found = [_type(path, one, named, depth + 1) for one in kinds if one != "null"]
    if len(found) > 1:
        shown = ", ".join(map(str, found))
        raise UnknownTypeError(
            f"has the field `{path}`, whose values are of several types, {shown}; a column has one."
        )
    return found[0] if found else pa.null()


def _decimal(path: str, schema: Mapping[str, Any]) -> pa.DataType:
    precision, scale = schema["precision"], schema.get("scale", 0)
    if not 0 < precision <= MAX_DECIMAL_DIGITS or not 0 <= scale <= precision:
        raise UnknownTypeError(
            f"has the field `{path}` of decimals of {precision} digits, {scale} of them behind the"
            f" point; at most {MAX_DECIMAL_DIGITS} are read."
        )
    return decimal_type(precision, scale)
