"""Arrow types: read back from DataFusion's messages, and as people call them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa


class UnknownType(Exception):
    """A type that is not read here; the message is its text."""


_PLAIN = {
    "Null": pa.null(),
    "Boolean": pa.bool_(),
    "Int8": pa.int8(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Float16": pa.float16(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Utf8": pa.string(),
    "LargeUtf8": pa.large_string(),
    "Utf8View": pa.string_view(),
    "Binary": pa.binary(),
    "LargeBinary": pa.large_binary(),
    "BinaryView": pa.binary_view(),
    "Date32": pa.date32(),
    "Date64": pa.date64(),
    "Interval(MonthDayNano)": pa.month_day_nano_interval(),
}
_DECIMALS = {
    "Decimal32": pa.decimal32,
    "Decimal64": pa.decimal64,
    "Decimal128": pa.decimal128,
    "Decimal256": pa.decimal256,
}
_LISTS = {"List": pa.list_, "LargeList": pa.large_list}
_UNITS = {"s": "s", "ms": "ms", "µs": "us", "μs": "us", "us": "us", "ns": "ns"}
_NESTED = re.compile(r"(?P<name>\w+)\((?P<inside>.*)\)", re.DOTALL)


def parse_types(text: str) -> tuple[pa.DataType, ...]:
    """Return the types of a list such as `Decimal128(12, 2), Timestamp(µs, "UTC")`.

    Raises:
        UnknownType: one of them is a struct or a map, or of a kind that is not known here.
    """
    return tuple(parse_type(part) for part in split(text))


def parse_type(text: str) -> pa.DataType:
    """Return one type.

    Raises:
        UnknownType: as `parse_types`.
    """
    if text in _PLAIN:
        return _PLAIN[text]
    nested = _NESTED.fullmatch(text)
    if nested is None:
        raise UnknownType(text)
    name, inside = nested["name"], split(nested["inside"])
    if name in _DECIMALS and len(inside) == 2:
        return _DECIMALS[name](int(inside[0]), int(inside[1]))
    if name == "Timestamp" and inside[0] in _UNITS:
        zone = inside[1].strip('"') if len(inside) == 2 else None
        return pa.timestamp(_UNITS[inside[0]], zone)
    if name in _LISTS and len(inside) == 1:
        return _LISTS[name](parse_type(inside[0].removeprefix("non-null ")))
    if name in ("Time32", "Time64") and inside and inside[0] in _UNITS:
        return (pa.time32 if name == "Time32" else pa.time64)(_UNITS[inside[0]])
    if name == "Dictionary" and len(inside) == 2:
        return pa.dictionary(parse_type(inside[0]), parse_type(inside[1]))
    raise UnknownType(text)


def split(text: str) -> tuple[str, ...]:
    """Return the parts between commas that are in no brackets and no quotes."""
    return tuple(part.strip() for part in _parts(text) if part.strip())


def _parts(text: str) -> Iterator[str]:
    depth, quoted, start = 0, False, 0
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char in "([{") - (char in ")]}")
            if char == "," and depth == 0:
                yield text[start:at]
                start = at + 1
    yield text[start:]


def spoken(text: str) -> str:
    """Return a type as people say it: `Decimal128(12, 2)` is `decimal(12,2)`, `Utf8` is `text`."""
    decimal = re.fullmatch(r"Decimal\d+\((\d+), (-?\d+)\)", text)
    if decimal:
        return f"decimal({decimal[1]},{decimal[2]})"
    for pattern, word in _SPOKEN:
        if re.match(pattern, text):
            return word
    return text


def all_spoken(message: str) -> str:
    """Return a message with every type in it as people say it."""
    return _TYPE.sub(lambda match: spoken(match.group()), message)


_TYPE = re.compile(
    r"\b(?:(?:U?Int|Float|Date)\d+|(?:Large)?Utf8(?:View)?|Boolean"
    r"|(?:Decimal\d+|Timestamp|Time\d+)\([^()]*\))"
)
_SPOKEN = (
    (r"U?Int\d+$", "integer"),
    (r"Float\d+$", "floating-point number"),
    (r"(Large)?Utf8(View)?$", "text"),
    (r"Boolean$", "true/false"),
    (r"Date\d+$", "date"),
    (r"Time\d+\(", "time of day"),
    (r"Timestamp\(\S+, ", "timestamp with time zone"),
    (r"Timestamp\(", "timestamp"),
    (r"Null$", "null"),
    (r"(Duration|Interval)\(", "interval"),
    (r"(Large)?List", "list"),
    (r"Struct\(", "struct"),
    (r"Dictionary\(", "text"),
    (r"(Large)?Binary|FixedSizeBinary", "bytes"),
)


def kind_of(data_type: pa.DataType | None) -> str:
    """Return what people call a type, with its article."""
    kinds = pa.types
    if data_type is not None and element(data_type) is not data_type:
        return f"a list, each {kind_of(element(data_type))}"
    for test, kind in (
        (kinds.is_integer, "an integer"),
        (kinds.is_decimal, "a decimal"),
        (kinds.is_floating, "a floating-point number"),
        (is_text, "text"),
        (kinds.is_date, "a date"),
        (is_zoned, "a timestamp with a time zone"),
        (kinds.is_timestamp, "a timestamp"),
        (kinds.is_time, "a time of day"),
        (kinds.is_boolean, "true or false"),
    ):
        if data_type is not None and test(data_type):
            return kind
    return str(data_type)


def element(data_type: pa.DataType) -> pa.DataType:
    """Return the type of what is in a list, in one in it and so on; of anything else its own."""
    kinds = pa.types
    while kinds.is_list(data_type) or kinds.is_large_list(data_type):
        data_type = data_type.value_type
    return data_type


def is_zoned(data_type: pa.DataType) -> bool:
    """Whether a type is a timestamp with a time zone."""
    return bool(pa.types.is_timestamp(data_type) and data_type.tz is not None)


def is_text(data_type: pa.DataType) -> bool:
    """Whether a type is text, however it is laid out."""
    kinds = pa.types
    if kinds.is_dictionary(data_type):
        return is_text(data_type.value_type)
    return bool(
        kinds.is_string(data_type)
        or kinds.is_large_string(data_type)
        or kinds.is_string_view(data_type)
    )
