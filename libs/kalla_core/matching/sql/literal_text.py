"""Literals of a plan as they are written in SQL."""

from __future__ import annotations

import re
from decimal import Decimal

import pyarrow as pa

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
_BYTES = re.compile(r'(?:Large|FixedSize)?Binary(?:View)?\((?:\d+, )?"([\d,]*)"\)')
_FLOAT = re.compile(r"Float\d+\(([^()]*)\)")
_LIST = re.compile(r"(?:Large)?List\((\[[^()\[\]]*\])\)")
_NULL = re.compile(r"\b[A-Z]\w+\(NULL\)")
_PLAIN_DIGITS = 24


def as_sql(text: str) -> str:
    """Return an expression as DataFusion writes it, with its literals as they are in SQL."""
    text = _INTERVAL.sub(_interval, _TIME.sub(_time, _MOMENT.sub(_moment, text)))
    text = _STRING.sub(lambda found: "'" + found[1].replace("'", "''") + "'", text)
    text = _DATE.sub(r"'\1'", text)
    text = _DECIMAL.sub(lambda found: _shortened(found[1]), text)
    text = _BYTES.sub(_hexadecimal, text)
    text = _FLOAT.sub(_float, text)
    text = _NUMBER.sub(r"\1", text)
    text = _NULL.sub("NULL", text)
    return _LIST.sub(r"\1", text).replace("(<subquery>)", "(SELECT ...)")


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


def _hexadecimal(found: re.Match[str]) -> str:
    return f"X'{bytes(map(int, filter(None, found[1].split(',')))).hex()}'"


def _float(found: re.Match[str]) -> str:
    return found[1] if len(found[1]) <= _PLAIN_DIGITS else repr(float(found[1]))
