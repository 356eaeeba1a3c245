"""The words that a recipe may give a column as its type, by themselves; `column_types` has a table.

Without Arrow, which takes long to load: whether a recipe is good can be said before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kalla_core.errors import InvalidType
from kalla_core.recipe.nearest import suggestion

MAX_DECIMAL_DIGITS = 76
WORDS: Mapping[str, tuple[str, ...]] = {
    "text": ("string", "varchar", "utf8"),
    "integer": ("bigint", "int", "int64", "long"),
    "double": ("double precision", "float", "float64"),
    "date": ("date32",),
    "timestamp": ("timestamp without time zone",),
    "timestamptz": ("timestamp with time zone",),
    "boolean": ("bool",),
}
"""Each type's word, but of decimals, and SQL's other names for it."""

_BY_NAME = {name: word for word, others in WORDS.items() for name in (word, *others)}
_DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\)", re.ASCII)


class Digits(NamedTuple):
    """A decimal: how many digits it has, and how many of them after the point."""

    precision: int
    scale: int


def read_type(text: str) -> str | Digits:
    """Return the type that a text stands for, a word of `WORDS` or a decimal; case does not matter.

    Raises:
        InvalidType: no such type, or a decimal whose digits make no sense.
    """
    name = " ".join(text.lower().split())
    if name in _BY_NAME:
        return _BY_NAME[name]
    if shape := _DECIMAL.fullmatch(name):
        return _digits(text, int(shape[1]), int(shape[2] or 0))
    if name in ("decimal", "numeric"):
        raise InvalidType(
            f"`{text}` does not say how many digits it has, and how many of them after the point:"
            " decimal(12,2).",
            type=text,
        )
    raise InvalidType(
        f"`{text}` is not a type. {suggestion(name, ('decimal(12,2)', *WORDS))}", type=text
    )


def _digits(text: str, precision: int, scale: int) -> Digits:
    if not 1 <= precision <= MAX_DECIMAL_DIGITS:
        raise InvalidType(f"`{text}`: a decimal has 1 to {MAX_DECIMAL_DIGITS} digits.", type=text)
    if scale > precision:
        raise InvalidType(
            f"`{text}`: the second number counts the digits after the point and cannot exceed"
            " the first, which counts all digits.",
            type=text,
        )
    return Digits(precision, scale)
