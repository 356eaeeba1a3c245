"""Values as shapes: what a program sees that may not see values.

A letter is `A` or `a`, a digit is `9`, everything else stays: `INV-0042` is `AAA-9999`. So one sees
how something is written and not what. Nulls, true and false, and names of columns stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LONGEST = 40
_IN_QUOTES = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBER = re.compile(r"(?<![\w`.])[+-]?\d[\d.,:/-]*(?![\w`])")


def shape(value: object) -> Any:
    """Return what may be shown of a value; containers are masked inside."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): shape(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shape(item) for item in value]
    text = str(value)
    signs = "".join(map(_sign, text[:LONGEST]))
    return signs if len(text) <= LONGEST else f"{signs}…"


def without_values(sentence: str) -> str:
    """Return a sentence whose quoted words and numbers are shapes; names in backticks stay."""
    quoted = _IN_QUOTES.sub(lambda found: f"'{shape(found[0][1:-1])}'", sentence)
    return _NUMBER.sub(lambda found: str(shape(found[0])), quoted)


def _sign(sign: str) -> str:
    if sign.isdecimal() or sign.isnumeric():
        return "9"
    if sign.isalpha():
        return "A" if sign.isupper() else "a"
    return sign if sign.isascii() and sign.isprintable() else "?"
