"""The type words of a recipe's `types`, and the Arrow types they stand for.

| word                         | Arrow type               | takes                                   |
|------------------------------|--------------------------|-----------------------------------------|
| `text`                       | string                   | anything                                |
| `integer`, `bigint`          | int64                    | digits, leading zeros too               |
| `decimal(p)`, `decimal(p,s)` | decimal128, or 256 from 39 digits | numbers, exactly               |
| `double`                     | float64                  | numbers, approximately                  |
| `date`                       | date32                   | `2024-01-31`                            |
| `timestamp`                  | timestamp[us]            | `2024-01-31 10:00:00`, without a zone   |
| `timestamptz`                | timestamp[us, UTC]       | `2024-01-31T10:00:00Z`, with a zone     |
| `boolean`                    | bool                     | `true`, `false` (also capitalised)      |
"""

from __future__ import annotations

import re

import pyarrow as pa

from kalla_core.errors import InvalidType

MAX_DECIMAL128_DIGITS = 38
MAX_DECIMAL_DIGITS = 76

_PLAIN = {
    "text": pa.string(),
    "integer": pa.int64(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "boolean": pa.bool_(),
}
_DECIMAL = re.compile(r"decimal\s*\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\)")


def parse_type(text: str) -> pa.DataType:
    """Return the Arrow type that a type word stands for; case and spaces do not matter.

    Raises:
        InvalidType: no such type, or a decimal whose digits make no sense.
    """
    word = text.strip().lower()
    if word in _PLAIN:
        return _PLAIN[word]
    if shape := _DECIMAL.fullmatch(word):
        return _decimal(text, int(shape[1]), int(shape[2] or 0))
    known = ", ".join(["decimal(12,2)", *_PLAIN])
    raise InvalidType(f"`{text}` is not a type. Types are {known}.", type=text)


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """Return the narrowest Arrow decimal with `precision` digits, `scale` of them fractional."""
    if precision <= MAX_DECIMAL128_DIGITS:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale)


def type_word(arrow_type: pa.DataType) -> str:
    """Return the word for a type; of a type that has none, Arrow's own name."""
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision},{arrow_type.scale})"
    for word, candidate in _PLAIN.items():
        if candidate == arrow_type:
            return word
    return str(arrow_type)


def _decimal(text: str, precision: int, scale: int) -> pa.DataType:
    if not 1 <= precision <= MAX_DECIMAL_DIGITS:
        raise InvalidType(
            f"`{text}`: a decimal has 1 to {MAX_DECIMAL_DIGITS} digits.", type=text
        )
    if scale > precision:
        raise InvalidType(
            f"`{text}`: the second number counts the digits after the point and cannot exceed"
            f" the first, which counts all digits.",
            type=text,
        )
    return decimal_type(precision, scale)
