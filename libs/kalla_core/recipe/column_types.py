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

import re

import pyarrow as pa

from kalla_core.errors import InvalidType
from kalla_core.recipe.nearest import suggestion

MAX_DECIMAL128_DIGITS = 38
MAX_DECIMAL_DIGITS = 76
INTEGER_DIGITS = {
    pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19,
    pa.uint8(): 3, pa.uint16(): 5, pa.uint32(): 10, pa.uint64(): 20,
}  # fmt: skip
"""How many decimal digits hold every value of an integer type."""

_WORDS: dict[pa.DataType, tuple[str, ...]] = {
    pa.string(): ("text", "string", "varchar", "utf8"),
    pa.int64(): ("integer", "bigint", "int", "int64", "long"),
    pa.float64(): ("double", "double precision", "float", "float64"),
    pa.date32(): ("date", "date32"),
    pa.timestamp("us"): ("timestamp", "timestamp without time zone"),
    pa.timestamp("us", tz="UTC"): ("timestamptz", "timestamp with time zone"),
    pa.bool_(): ("boolean", "bool"),
}
_BY_WORD = {word: arrow_type for arrow_type, words in _WORDS.items() for word in words}
_DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\)", re.ASCII)


def parse_type(text: str) -> pa.DataType:
    """Return the Arrow type that a type word stands for; case and spaces do not matter.

    Raises:
        InvalidType: no such type, or a decimal whose digits make no sense.
    """
    word = " ".join(text.lower().split())
    if word in _BY_WORD:
        return _BY_WORD[word]
    if shape := _DECIMAL.fullmatch(word):
        return _decimal(text, int(shape[1]), int(shape[2] or 0))
    if word in ("decimal", "numeric"):
        raise InvalidType(
            f"`{text}` does not say how many digits it has, and how many of them after the point:"
            " decimal(12,2).",
            type=text,
        )
    known = ("decimal(12,2)", *(words[0] for words in _WORDS.values()))
    raise InvalidType(f"`{text}` is not a type. {suggestion(word, known)}", type=text)


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """Return the narrowest Arrow decimal with `precision` digits, `scale` of them fractional."""
    if precision <= MAX_DECIMAL128_DIGITS:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale)


def type_word(arrow_type: pa.DataType) -> str:
    """Return the word for a type; of a type that has none, Arrow's own name."""
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision},{arrow_type.scale})"
    words = _WORDS.get(arrow_type)
    return str(arrow_type) if words is None else words[0]


def _decimal(text: str, precision: int, scale: int) -> pa.DataType:
    if not 1 <= precision <= MAX_DECIMAL_DIGITS:
        raise InvalidType(f"`{text}`: a decimal has 1 to {MAX_DECIMAL_DIGITS} digits.", type=text)
    if scale > precision:
        raise InvalidType(
            f"`{text}`: the second number counts the digits after the point and cannot exceed"
            " the first, which counts all digits.",
            type=text,
        )
    return decimal_type(precision, scale)
