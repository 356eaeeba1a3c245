"""Expressions as people read them."""

from __future__ import annotations

import re
from itertools import zip_longest

from datafusion import Expr

from kalla_core.matching.conversions import unwritten
from kalla_core.matching.lineage import HOLE, Call, Column, Constant, Symbol

_STRING = re.compile(r'(?:LargeUtf8|Utf8View|Utf8)\("((?:[^"\\]|\\.)*)"\)')
_NUMBER = re.compile(r"(?:U?Int\d+|Float\d+|Boolean)\(([^()]*)\)")
_DECIMAL = re.compile(r"Decimal\d+\((-?[\d.]+),\d+,-?\d+\)")
_DATE = re.compile(r'(?:Date\d+|Timestamp\w*)\("([^"]*)"\)')
_VARIANT = re.compile(r"\b([a-z_]+)__\d+\(")


def worded(expr: Expr) -> str:
    """Return `expr` with literals and function names as in SQL."""
    return unwritten(_polished(expr.canonical_name()))


def spoken(symbol: Symbol) -> str:
    """Return a value of a source over the columns of the source, as in SQL."""
    return unwritten(_spoken(symbol))


def _spoken(symbol: Symbol) -> str:
    match symbol:
        case Column():
            return symbol.name
        case Constant():
            return _polished(symbol.text)
        case Call(kind="Cast", text="int64", parts=(Call(kind="BinaryExpr" | "Negative"),)):
            return _spoken(symbol.parts[0])  # which holds arithmetic to what integers can be
        case Call(kind="Cast"):
            return f"CAST({_spoken(symbol.parts[0])} AS {symbol.text})"
        case Call():
            pieces = _polished(symbol.text).split(HOLE)
            parts = map(_spoken, symbol.parts)
            return "".join(a + b for a, b in zip_longest(pieces, parts, fillvalue=""))
        case _:
            return "..."


def _polished(text: str) -> str:
    text = _STRING.sub(lambda found: "'" + found[1].replace("'", "''") + "'", text)
    text = _DATE.sub(r"'\1'", text)
    text = _DECIMAL.sub(lambda found: _shortened(found[1]), text)
    text = _NUMBER.sub(r"\1", text)
    return _VARIANT.sub(r"\1(", text)


def _shortened(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
