"""Whether a text can be read as a date by a format of `to_date`, told without reading it.

`to_date` has no way to give null for what it cannot read. So the format is taken apart here as
DataFusion does it: a number skips blanks before it and takes as many digits as it may, anything
else stands for itself. Where a text has that form, its numbers are brought into the order of ISO
8601, of which a cast tells whether there is such a day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from operator import or_

import pyarrow as pa
from datafusion import Expr, lit
from datafusion import functions as f

_DIGITS = {"Y": 4, "m": 2, "d": 2}
_ITEM = re.compile(r"%([Ymd])|([^%\s\w])")
_WITH_A_SIGN = {"Y": r"\s*[+-][0-9]+", "m": r"\s*[0-9]+", "d": r"\s*[0-9]+"}


def formatted_succeeds(text: Expr, formats: Sequence[Expr]) -> Expr | None:
    """Return whether `to_date(text, format, ...)` has an answer; one for null is null.

    Where a year has a sign, which none has, it is taken for one that has.

    Returns:
        None where a format is not made of `%Y`, `%m`, `%d`, each once, and of signs between them.
    """
    known = [_succeeds(text, _items(written)) for written in formats]
    by_one = [one for one in known if one is not None]
    return reduce(or_, by_one) if len(by_one) == len(formats) else None


def _succeeds(text: Expr, items: list[str] | None) -> Expr | None:
    if items is None:
        return None
    pattern = _pattern(items, {})
    order = [item for item in items if item in _DIGITS]
    parts = (_part(text, pattern, order.index(name) + 1, name) for name in _DIGITS)
    day = f.concat_ws("-", *parts).try_cast(pa.date32())
    is_day = f.regexp_like(text, lit(pattern)) & day.is_not_null()
    signed = f.regexp_like(text, lit(_pattern(items, _WITH_A_SIGN)))
    return text.is_null() | is_day | signed


def _items(expr: Expr) -> list[str] | None:
    """Return the numbers, as their letters, and the signs of a format; None if it has others."""
    written = expr.python_value().as_py() if expr.variant_name() == "Literal" else None
    if not isinstance(written, str) or _ITEM.sub("", written):
        return None
    items = [number or sign for number, sign in _ITEM.findall(written)]
    return items if sorted(item for item in items if item in _DIGITS) == sorted(_DIGITS) else None


def _pattern(items: Sequence[str], instead: dict[str, str]) -> str:
    """Return what a text of the format looks like, with a group for each number."""
    pieces = [
        f"({instead.get(item) or _number(item, following)})" if item in _DIGITS else re.escape(item)
        for item, following in zip(items, [*items[1:], ""], strict=True)
    ]
    return f"^{''.join(pieces)}$"


def _number(item: str, following: str) -> str:
    """Return how a number looks; where another follows, one that is short ends with blanks."""
    most = _DIGITS[item]
    if following in _DIGITS:
        return rf"\s*(?:[0-9]{{{most}}}|[0-9]{{1,{most - 1}}}\s+)"
    return rf"\s*[0-9]{{1,{most}}}"


def _part(text: Expr, pattern: str, group: int, name: str) -> Expr:
    found = f.regexp_replace(text, lit(pattern), lit(f"${{{group}}}"))
    digits = f.regexp_replace(found, lit(r"\s"), lit(""), lit("g"))
    return f.lpad(digits, lit(_DIGITS[name]), lit("0"))
