"""What has to be put around operations so that they are exact, by the types of their operands.

DataFusion lets integers wrap in `+`, `-`, `*`, unary minus and `sum`, and decimals of 38 digits in
`sum`, and averages integers as doubles, so that what is left of large ones hangs on their order.
Decimals of enough digits hold whatever comes out of an operation; cast back, what no integer can
hold is an error. The result has the name it would have had, because names leave casts out.

It gives `round` another type in the plan that runs than in the one whose types were checked, so
that what is compared with it never is equal, and compares dates with timestamps in nanoseconds,
which end in 2262. A cast settles all of it.

Quotients and averages of decimals it gives four digits more than the dividend has; a dividend of
more digits gives as many as PostgreSQL, sixteen, or twelve where 38 digits hold no more. A date
beside an interval of hours stays a date with it, without the hours; as a timestamp it keeps them.

A column without any value has the type NULL, which fits anything; some functions do not take it,
and some say so only in a run. A cast gives them what they take, and they answer NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from kalla_core.matching.plans.lossless import is_text
from kalla_core.matching.sql.conversions import CONVERSIONS, converted
from kalla_core.matching.sql.moments import READING
from kalla_core.matching.sql.operations import CASE, CASE_OF, IN_QUERY
from kalla_core.matching.sql.periods import MOMENT, PERIODS
from kalla_core.matching.sql.wrapping import Around, Wrapping, cast_if, cast_to
from kalla_core.recipe.column_types import INTEGER_DIGITS

_INTEGER = "BIGINT"
_MOST_DIGITS, _WIDE_DIGITS = 38, 76
_QUOTIENT_SCALE, _LEAST_QUOTIENT_SCALE, _DIVISION_ADDS = 16, 12, 4
_SUMMED_DIGITS = 10
"""How many digits a sum may have more than what it adds: ten thousand million rows."""

COMPARISONS = frozenset(
    {"=", "==", "<>", "!=", "<", "<=", ">", ">=", "between", "in", IN_QUERY, "is distinct from",
     "is not distinct from"}
)  # fmt: skip
CHOOSING = frozenset({"coalesce", "greatest", "ifnull", "least", "nullif", "nvl", "nvl2"})
"""Functions whose arguments become one type, as those of a comparison do."""
CASES = frozenset({CASE, CASE_OF})
_SERIES = frozenset({"generate_series", "range"})
_WHOLE = frozenset({"ceil", "floor", "trunc"})
CALLS = (
    frozenset({"sum", "round", "abs", "avg", "mean"})
    | PERIODS
    | CHOOSING
    | CASES
    | READING
    | _SERIES
    | _WHOLE
)
_OF_NULL: Mapping[str, str] = {
    "sum": _INTEGER, "round": _INTEGER, "abs": _INTEGER, "trunc": "DOUBLE", "to_hex": _INTEGER,
    "date_trunc": MOMENT, "datetrunc": MOMENT, "date_part": MOMENT, "datepart": MOMENT,
    "extract": MOMENT,
}  # fmt: skip
"""What functions take in the place of a value whose type is NULL."""

_NOTHING: Around = ("CASE WHEN ", " IS NULL THEN NULL END")
"""What makes of a value that is always null one of type NULL, which fits anything."""

CALLS_OF_NULL = frozenset(_OF_NULL) | CALLS
"""The calls to look at where a value may be of type NULL."""


_Types = tuple[pa.DataType, ...]


def wrapping(
    name: str,
    types: _Types,
    places: int | None = 0,
    *,
    hours: bool = False,
    far: bool = False,
) -> Wrapping | None:
    """Return what makes an operation exact; None if it is so already.

    Args:
        name: as `Operation` or `conversions` has it.
        types: of its operands; of a call only of the first one.
        places: to which `round` rounds; None if that is not known before a run.
        hours: whether an interval among the operands may have parts of a day.
        far: whether a literal among them is a text of a day that nanoseconds do not reach.
    """
    if name in _OF_NULL and pa.types.is_null(types[0]):
        return Wrapping(_NOTHING, (cast_to(_OF_NULL[name]),))
    if name in CONVERSIONS:
        return converted(name, types[0])
    if hours and name in ("+", "-") and any(map(pa.types.is_interval, types)):
        return _casts(MOMENT if pa.types.is_date(kind) else None for kind in types)
    if name == "round":
        return _rounded(types[0], places)
    if name in _WHOLE:  # a double holds no integer beyond 53 bits
        whole = types[0] in INTEGER_DIGITS
        return Wrapping(None, (cast_to(_whole(types[0])),)) if whole else None
    if name == IN_QUERY:
        return _compared(types) if pa.types.is_date(types[0]) else None
    if name in _SERIES:
        return _series(types[0])
    if name == "nvl2" and not pa.types.is_temporal(types[0]):
        return None  # DataFusion takes it only if one type holds all three
    if name in COMPARISONS | CHOOSING | CASES:
        return _compared(types, far=far)
    rule = _RULES.get(name)
    return None if rule is None else rule(types)


def _arithmetic(types: _Types) -> Wrapping | None:
    left, right = types
    if left in INTEGER_DIGITS and right in INTEGER_DIGITS:
        return _integers(types)
    # Days beyond 32 bits would wrap where they become an interval.
    days = tuple("INT" if kind == pa.int64() else None for kind in types)
    dated = pa.types.is_date(left) or pa.types.is_date(right)
    return _casts(days) if dated else None


def _subtracted(types: _Types) -> Wrapping | None:
    met = any(map(pa.types.is_date, types)) and any(map(pa.types.is_timestamp, types))
    return _compared(types) if met else _arithmetic(types)


def _integers(types: _Types) -> Wrapping | None:
    if pa.uint64() not in types:
        return Wrapping(cast_to(_INTEGER), tuple(cast_to(_whole(kind)) for kind in types))
    # DataFusion itself takes decimals where an unsigned integer meets one with a sign.
    unsigned = all(pa.types.is_unsigned_integer(kind) for kind in types)
    return _casts(map(_whole, types)) if unsigned else None


def _whole(integer: pa.DataType) -> str:
    return f"DECIMAL({INTEGER_DIGITS[integer]}, 0)"


def _negated(types: _Types) -> Wrapping | None:
    (operand,) = types
    if operand not in INTEGER_DIGITS:
        return None
    return _as_decimal(operand)


def _summed(types: _Types) -> Wrapping | None:
    (operand,) = types
    if operand in INTEGER_DIGITS:
        return _as_decimal(operand)
    if pa.types.is_decimal(operand) and operand.precision > _MOST_DIGITS - _SUMMED_DIGITS:
        wide = f"DECIMAL({_WIDE_DIGITS}, {operand.scale})"
        narrow = f"DECIMAL({max(_MOST_DIGITS, operand.precision)}, {operand.scale})"
        return Wrapping(cast_to(narrow), (cast_to(wide),))
    return None


def _as_decimal(integer: pa.DataType) -> Wrapping:
    whole = None if integer == pa.uint64() else _INTEGER
    return Wrapping(cast_if(whole), (cast_to(_whole(integer)),))


def _divided(types: _Types) -> Wrapping | None:
    left, right = map(_decimal, types)
    if left is None or right is None or not any(map(pa.types.is_decimal, types)):
        return None
    return _more_digits(left, right.scale)


def _averaged(types: _Types) -> Wrapping | None:
    (operand,) = types
    if operand in INTEGER_DIGITS:  # summed as doubles, it would hang on the order of the rows
        digits = INTEGER_DIGITS[operand] + _SUMMED_DIGITS + _QUOTIENT_SCALE
        summed = cast_to(f"DECIMAL({digits}, {_QUOTIENT_SCALE})")
        # By way of text, because a decimal of many digits does not become the nearest double.
        return Wrapping(("CAST(CAST(", " AS VARCHAR) AS DOUBLE)"), (summed,))
    return _more_digits(operand, _SUMMED_DIGITS) if pa.types.is_decimal128(operand) else None


def _more_digits(dividend: pa.DataType, taken: int) -> Wrapping | None:
    """Return the cast of a dividend that gives its quotient enough digits.

    Args:
        dividend: a decimal.
        taken: how many of 38 digits the division needs beside those of the dividend and of the
            quotient.
    """
    whole = dividend.precision - dividend.scale
    room = min(_QUOTIENT_SCALE, _MOST_DIGITS - whole - taken)
    scale = max(room, _LEAST_QUOTIENT_SCALE) - _DIVISION_ADDS
    if scale <= dividend.scale:
        return None
    if room < _LEAST_QUOTIENT_SCALE:
        narrow = cast_to(f"DECIMAL({_MOST_DIGITS}, {_LEAST_QUOTIENT_SCALE})")
        return Wrapping(narrow, (cast_to(f"DECIMAL({_WIDE_DIGITS}, {scale})"), None))
    return Wrapping(None, (cast_to(f"DECIMAL({whole + scale}, {scale})"), None))


def _decimal(kind: pa.DataType) -> pa.DataType | None:
    """Return the decimal as which a number is divided; None for what is none."""
    if kind in INTEGER_DIGITS:
        return pa.decimal128(INTEGER_DIGITS[kind], 0)
    return kind if pa.types.is_decimal128(kind) else None


def _casts(casts: Iterable[str | None]) -> Wrapping | None:
    around = tuple(map(cast_if, casts))
    return Wrapping(None, around) if any(around) else None


def _absolute(types: _Types) -> Wrapping | None:
    (operand,) = types
    narrow = operand in INTEGER_DIGITS and operand not in (pa.int64(), pa.uint64())
    return _casts([_INTEGER]) if narrow else None


_RULES: Mapping[str, Callable[[_Types], Wrapping | None]] = {
    "+": _arithmetic,
    "-": _subtracted,
    "*": _arithmetic,
    "/": _divided,
    "negate": _negated,
    "sum": _summed,
    "abs": _absolute,
    "avg": _averaged,
    "mean": _averaged,
}


OPERATIONS = frozenset(_RULES)
"""The operations beside `round` and comparisons that may be inexact."""


def _rounded(operand: pa.DataType, places: int | None) -> Wrapping | None:
    if not pa.types.is_decimal(operand):
        return None
    most = _WIDE_DIGITS if pa.types.is_decimal256(operand) else _MOST_DIGITS
    scale = operand.scale if places is None else max(0, min(places, operand.scale))
    digits = max(operand.precision, operand.precision - operand.scale + 1 + scale)
    return Wrapping(cast_to(f"DECIMAL({min(most, digits)}, {scale})"), (None,))


def _timed(types: _Types) -> Wrapping | None:
    """Return the casts of times of a day to nanoseconds, which hold those of every other unit."""
    finest = pa.time64("ns")
    times = {kind for kind in types if pa.types.is_time(kind)}
    if times == {finest} or (len(times) == 1 and not any(map(is_text, types))):
        return None
    return _casts(
        "TIME" if (pa.types.is_time(kind) and kind != finest) or is_text(kind) else None
        for kind in types
    )


def _compared(types: _Types, *, far: bool = False) -> Wrapping | None:
    if any(map(pa.types.is_time, types)):
        return _timed(types)
    moments = {kind for kind in types if pa.types.is_timestamp(kind)}
    if not moments or any(kind.unit == "ns" for kind in moments):
        return None
    zones = {kind.tz for kind in moments}
    if zones != {None}:
        return _zoned(types, *zones) if far and len(zones) == 1 else None
    return _casts(MOMENT if pa.types.is_date(kind) or is_text(kind) else None for kind in types)


def _series(moment: pa.DataType) -> Wrapping | None:
    """Return the casts with which a series fails, not is NULL, beyond what nanoseconds reach."""
    if not pa.types.is_timestamp(moment) or moment.unit == "ns":
        return None
    around = cast_to("TIMESTAMP(9)") if moment.tz is None else _in_zone("Nanosecond", moment.tz)
    return Wrapping(None, (around,))


def _in_zone(unit: str, zone: str) -> Around:
    return "arrow_cast(", f", 'Timestamp({unit}, Some(\"{zone}\"))')"


def _zoned(types: _Types, zone: str) -> Wrapping | None:
    """Return what reads text as moments of a zone."""
    around = _in_zone("Microsecond", zone)
    texts = [around if is_text(kind) else None for kind in types]
    return Wrapping(None, tuple(texts)) if any(texts) else None
