"""Reading the value of a filter: numbers, moments and patterns, exactly."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.model import Scalar

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_NOT_FINITE = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANY = "%"
_ONE = "_"
_ESCAPE = "\\"


def wrong_value(column: str, value: Scalar, wanted: str) -> InvalidFilter:
    """Return the error for a value that a column does not take."""
    return InvalidFilter(f"A filter on `{column}` takes {wanted}, not {value!r}.", column=column)


def exact_number(column: str, value: Scalar) -> Fraction | float:
    """Return a number as it is printed; only infinities and NaN are floats."""
    if isinstance(value, bool):
        raise wrong_value(column, value, "a number")
    if isinstance(value, float):
        return Fraction(Decimal(repr(value))) if math.isfinite(value) else value
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise wrong_value(column, value, "a number")
        return Fraction(Decimal(value))
    return Fraction(value)


def float_number(column: str, value: Scalar) -> Fraction | float:
    """Return a number for a float column: a float, or an integer or decimal text, exactly."""
    if isinstance(value, str) and value.lower() in _NOT_FINITE:
        return _NOT_FINITE[value.lower()]
    return value if isinstance(value, float) else exact_number(column, value)


def seconds_since_epoch(column: str, value: Scalar, *, date_only: bool, zoned: bool) -> Fraction:
    """Return a date or timestamp as seconds since 1970, UTC for zoned columns, local otherwise."""
    wanted = _wanted(date_only=date_only, zoned=zoned)
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong_value(column, value, wanted)
    day, time, fraction, zone = found.groups()
    if (date_only and time is not None) or (time is not None and zoned != (zone is not None)):
        raise wrong_value(column, value, wanted)
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone or '+00:00'}")
    except ValueError:
        raise wrong_value(column, value, wanted) from None
    gap = moment - _EPOCH
    part = Fraction(int(fraction), 10 ** len(fraction)) if fraction else Fraction(0)
    return Fraction(gap.days * 86_400 + gap.seconds) + part


def like_regex(column: str, pattern: str) -> str:
    r"""Return an anchored RE2 pattern for SQL's LIKE with `\` as escape."""
    pieces = [r"(?s)\A"]
    characters = iter(pattern)
    for character in characters:
        if character == _MANY:
            pieces.append(".*")
        elif character == _ONE:
            pieces.append(".")
        elif character == _ESCAPE:
            pieces.append(_literal(_escaped(column, pattern, next(characters, None))))
        else:
            pieces.append(_literal(character))
    return "".join([*pieces, r"\z"])


def _wanted(*, date_only: bool, zoned: bool) -> str:
    if date_only:
        return "a date like 2024-01-31"
    if zoned:
        return "a timestamp with its zone, like 2024-01-31T10:00:00Z"
    return "a timestamp without a zone, like 2024-01-31T10:00:00"


def _escaped(column: str, pattern: str, character: str | None) -> str:
    if character is None:
        raise InvalidFilter(
            f"The pattern {pattern!r} on `{column}` ends in the escape character `\\`; write"
            r" `\\` for a backslash.",
            column=column,
        )
    return character


def _literal(character: str) -> str:
    if character.isalnum() or not character.isascii():
        return character
    return rf"\x{{{ord(character):x}}}"
