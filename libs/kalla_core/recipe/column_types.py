"""The types a recipe may give a column, as people write them: `decimal(12,2)`, `date`, `text`."""

from __future__ import annotations

import re

import pyarrow as pa

from kalla_core.recipe.nearest import suggestion

INTEGER = pa.int64()
TIMESTAMP = pa.timestamp("us")
TIMESTAMP_UTC = pa.timestamp("us", tz="UTC")

_TYPES: dict[pa.DataType, tuple[str, ...]] = {
    pa.string(): ("text", "string", "varchar", "utf8"),
    INTEGER: ("integer", "int", "int64", "bigint", "long"),
    pa.float64(): ("double", "double precision", "float", "float64"),
    pa.bool_(): ("boolean", "bool"),
    pa.date32(): ("date", "date32"),
    TIMESTAMP: ("timestamp", "timestamp without time zone"),
    TIMESTAMP_UTC: ("timestamptz", "timestamp with time zone"),
}
_BY_WORD = {word: data_type for data_type, words in _TYPES.items() for word in words}
_KNOWN = (*(words[0] for words in _TYPES.values()), "decimal(12,2)")
_DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\)", re.ASCII)
_MAX_DECIMAL128 = 38
_MAX_DECIMAL256 = 76


def parse_column_type(text: str) -> pa.DataType:
    """Return the Arrow type of a type text, any case.

    Integers are 64 bits wide, timestamps count microseconds; a decimal of up to 38 digits is a
    Decimal128, of up to 76 a Decimal256.

    Raises:
        ValueError: no such type; the message is a sentence.
    """
    folded = " ".join(text.lower().split())
    if folded in _BY_WORD:
        return _BY_WORD[folded]
    found = _DECIMAL.fullmatch(folded)
    if found is not None:
        return _decimal(text, int(found[1]), int(found[2] or 0))
    if folded in ("decimal", "numeric"):
        raise ValueError(
            f'"{text}" needs its digits and its digits after the point: decimal(12,2).'
        )
    raise ValueError(f'There is no type "{text}"{suggestion(folded, _KNOWN)}')


def column_type_text(data_type: pa.DataType) -> str | None:
    """Return how a recipe writes a type; None where no text stands for exactly this one."""
    if pa.types.is_decimal128(data_type) or pa.types.is_decimal256(data_type):
        return f"decimal({data_type.precision},{data_type.scale})"
    words = _TYPES.get(data_type)
    return None if words is None else words[0]


def _decimal(text: str, precision: int, scale: int) -> pa.DataType:
    if not 1 <= precision <= _MAX_DECIMAL256:
        raise ValueError(f'"{text}" has to have 1 to {_MAX_DECIMAL256} digits.')
    if scale > precision:
        raise ValueError(f'"{text}" has more digits after the point than digits.')
    if precision > _MAX_DECIMAL128:
        return pa.decimal256(precision, scale)
    return pa.decimal128(precision, scale)
