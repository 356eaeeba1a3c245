"""Expressions as people read them."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import zip_longest

import pyarrow as pa
from datafusion import Expr

from kalla_core.matching.conversions import unwritten
from kalla_core.matching.lineage import HOLE, Call, Column, Constant, Symbol
from kalla_core.matching.lists import unguarded
from kalla_core.matching.written import Written

_STRING = re.compile(r'(?:LargeUtf8|Utf8View|Utf8)\("((?:[^"\\]|\\.)*)"\)')
_NUMBER = re.compile(r"(?:U?Int\d+|Float\d+|Boolean)\(([^()]*)\)")
_DECIMAL = re.compile(r"Decimal\d+\((-?[\d.]+),\d+,-?\d+\)")
_DATE = re.compile(r'(?:Date\d+|Timestamp\w*)\("([^"]*)"\)')
_MOMENT = re.compile(
    r"Timestamp(?P<unit>S|Mill|Micr|N)[a-z]+\((?P<value>-?\d+), "
    r'(?:None|Some\("(?P<zone>[^"]*)"\))\)'
)
_UNITS = {"S": "s", "Mill": "ms", "Micr": "us", "N": "ns"}
_TIME = re.compile(r'Time(?P<width>32|64)(?P<unit>S|Mill|Micr|N)[a-z]+\("(?P<value>\d+)"\)')
_INTERVAL = re.compile(
    r'IntervalMonthDayNano\("IntervalMonthDayNano \{ months: (-?\d+), days: (-?\d+), '
    r'nanoseconds: (-?\d+) \}"\)'
)


def worded(expr: Expr, written: Written) -> str:
    """Return `expr` with literals, function names and casts as in SQL."""
    return written.only(unguarded(unwritten(_polished(expr.canonical_name()))))


def spoken(symbol: Symbol, written: Written) -> str:
    """Return a value of a source over the columns of the source, as in SQL."""
    return unwritten(_spoken(symbol, written))


def _spoken(symbol: Symbol, written: Written) -> str:
    match symbol:
        case Column():
            return symbol.name
        case Constant():
            return _polished(symbol.text)
        case Call(kind="Cast"):
            return written.shown(_spoken(symbol.parts[0], written), symbol.text)
        case Call():
            pieces = _polished(symbol.text).split(HOLE)
            parts = (_spoken(part, written) for part in symbol.parts)
            return "".join(a + b for a, b in zip_longest(pieces, parts, fillvalue=""))
        case _:
            return "..."


def _polished(text: str) -> str:
    text = _INTERVAL.sub(_interval, _TIME.sub(_time, _MOMENT.sub(_moment, text)))
    text = _STRING.sub(lambda found: "'" + found[1].replace("'", "''") + "'", text)
    text = _DATE.sub(r"'\1'", text)
    text = _DECIMAL.sub(lambda found: _shortened(found[1]), text)
    return _NUMBER.sub(r"\1", text)


def _shortened(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _moment(found: re.Match[str]) -> str:
    zoned = pa.timestamp(_UNITS[found["unit"]], found["zone"])
    return _as_text(pa.scalar(int(found["value"]), zoned))


def _time(found: re.Match[str]) -> str:
    kind = pa.time32 if found["width"] == "32" else pa.time64
    return _as_text(pa.scalar(int(found["value"]), kind(_UNITS[found["unit"]])))


def _as_text(value: pa.Scalar) -> str:
    text = str(value.cast(pa.string()))
    return "'" + re.sub(r"(\.\d*?)0+(?=$|Z|[+-])", _without_point, text) + "'"


def _without_point(found: re.Match[str]) -> str:
    return found[1].removesuffix(".")


def _interval(found: re.Match[str]) -> str:
    months, days, nanoseconds = map(int, found.groups())
    seconds = Decimal(nanoseconds).scaleb(-9).normalize()
    hours, rest = divmod(seconds, 3600)
    parts = ((months, "month"), (days, "day"), (hours, "hour"), (rest, "second"))
    said = [f"{Decimal(n):f} {word}{'' if abs(n) == 1 else 's'}" for n, word in parts if n]
    return f"INTERVAL '{' '.join(said) or '0 days'}'"
