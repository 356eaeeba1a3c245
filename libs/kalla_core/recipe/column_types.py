"""The types a recipe may give a column in `types`, and the Arrow types they stand for.

| word, any case               | Arrow type                        | takes                     |
|------------------------------|-----------------------------------|---------------------------|
| `text`                       | string                            | anything                  |
| `integer`, `bigint`          | int64                             | digits, leading zeros too |
| `decimal(p)`, `decimal(p,s)` | decimal128, or 256 from 39 digits | numbers, exactly          |
| `double`                     | float64                           | numbers, approximately    |
| `date`                       | date32                            | `2024-01-31`              |
| `timestamp`                  | timestamp[us]                     | `2024-01-31 10:00:00`     |
| `timestamptz`                | timestamp[us, UTC]                | `2024-01-31T10:00:00Z`    |
| `boolean`                    | bool                              | `true`, `false`, any case |

SQL's other names for these (`varchar`, `numeric`, `timestamp with time zone`, …) are taken too.
"""

from __future__ import annotations

import pyarrow as pa

from kalla_core.recipe.type_words import MAX_DECIMAL_DIGITS as MAX_DECIMAL_DIGITS
from kalla_core.recipe.type_words import Digits, read_type

MAX_DECIMAL128_DIGITS = 38
INTEGER_DIGITS = {
    pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19,
    pa.uint8(): 3, pa.uint16(): 5, pa.uint32(): 10, pa.uint64(): 20,
}  # fmt: skip
"""How many decimal digits hold every value of an integer type."""

_BY_WORD: dict[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "boolean": pa.bool_(),
}
_WORDS = {arrow_type: word for word, arrow_type in _BY_WORD.items()}


def parse_type(text: str) -> pa.DataType:
    """Return the Arrow type that a type word stands for; case and spaces do not matter.

    Raises:
        InvalidType: as `read_type` does.
    """
    found = read_type(text)
    return decimal_type(*found) if isinstance(found, Digits) else _BY_WORD[found]


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """Return the narrowest Arrow decimal with `precision` digits, `scale` of them fractional."""
    if precision <= MAX_DECIMAL128_DIGITS:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale)


def type_word(arrow_type: pa.DataType) -> str:
    """Return the word for a type; of a type that has none, Arrow's own name."""
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision},{arrow_type.scale})"
    return _WORDS.get(arrow_type, str(arrow_type))
