"""Expressions as people read them."""

from __future__ import annotations

import re

from datafusion import Expr

from kalla_core.matching.routes import Renamed, Route

_QUALIFIER = re.compile(r"\b[A-Za-z_]\w*\.(?=[A-Za-z_])")
_STRING = re.compile(r'(?:LargeUtf8|Utf8View|Utf8)\("((?:[^"\\]|\\.)*)"\)')
_NUMBER = re.compile(r"(?:U?Int\d+|Float\d+|Boolean)\(([^()]*)\)")
_DECIMAL = re.compile(r"Decimal\d+\((-?[\d.]+),\d+,-?\d+\)")
_DATE = re.compile(r'(?:Date\d+|Timestamp\w*)\("([^"]*)"\)')
_VARIANT = re.compile(r"\b([a-z_]+)__\d+\(")


def worded(expr: Expr) -> str:
    """Return `expr` with literals and function names as in SQL."""
    text = _STRING.sub(lambda found: "'" + found[1].replace("'", "''") + "'", expr.canonical_name())
    text = _DATE.sub(r"'\1'", text)
    text = _DECIMAL.sub(lambda found: _shortened(found[1]), text)
    text = _NUMBER.sub(r"\1", text)
    return _VARIANT.sub(r"\1(", text)


def readable(expr: Expr, route: Route) -> str:
    """Return a key over the columns of its source, without the names of tables."""
    text = worded(expr)
    renamed_only = all(isinstance(step, Renamed) for step in route.steps)
    return _QUALIFIER.sub("", text) if renamed_only else text


def _shortened(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
