"""Whether an expression can fail on a value, how people write it, and what to write instead."""

from __future__ import annotations

import re

import pyarrow as pa
from datafusion import Expr

from kalla_core.matching.plans.casts import Scope, cast_target, direct_parts, shown
from kalla_core.matching.plans.lossless import always_fits, is_text, loses_nothing
from kalla_core.matching.sql.arrow_types import UnknownType, parse_type
from kalla_core.matching.sql.written import NOTHING, Written


def may_fail(scope: Scope, expr: Expr) -> bool:
    """Whether an expression can fail on values that its own parts do not fail on."""
    kind = expr.variant_name()
    if kind == "BinaryExpr":
        return is_arithmetic(expr)
    if kind == "Cast":
        return not _never_fails(scope, expr)
    return kind in ("ScalarFunction", "Negative")


def is_arithmetic(expr: Expr) -> bool:
    """Whether an expression of two operands computes a number or a moment."""
    return expr.rex_call_operator() in ("+", "-", "*", "/", "%", "<<")


def _never_fails(scope: Scope, cast: Expr) -> bool:
    (operand,) = direct_parts(cast)
    before = scope.type_of(operand)
    try:
        after = parse_type(cast_target(cast))
    except UnknownType:
        return False
    if before is None:
        return False
    if pa.types.is_date(before):
        return bool(pa.types.is_timestamp(after) and after.tz is None and after.unit != "ns")
    return (
        pa.types.is_null(before)
        or loses_nothing(before, after)
        or always_fits(before, after)
        or (is_text(after) and not pa.types.is_binary(before))
    )


def fits(expr: Expr, reason: str) -> bool:
    """Whether an expression fails with such words of DataFusion's."""
    kind = expr.variant_name()
    if "ivide by zero" in reason:
        return kind == "BinaryExpr" and expr.rex_call_operator() in ("/", "%")
    if re.search(r"\bcast\b", reason, re.IGNORECASE):
        return kind == "Cast"
    return kind != "Cast"


def text(expr: Expr, written: Written = NOTHING) -> str:
    """Return an expression as people write it; a cast of ours around arithmetic is left out.

    Args:
        expr: the expression.
        written: the casts of the SQL, with the types as they stand there.
    """
    if expr.variant_name() != "Cast":
        return _shown(expr)
    (operand,) = direct_parts(expr)
    target = cast_target(expr)
    zone = _ZONED.fullmatch(target)
    if zone is not None:
        return f"{_shown(operand)} AT TIME ZONE '{zone[1]}'"
    if is_computed(operand):
        return _shown(operand)
    return f"CAST({_shown(operand)} AS {_target(operand, target, written)})"


def remedy(expr: Expr, written: Written = NOTHING) -> str | None:
    """Return what to write in place of an expression; None if nothing general.

    Args:
        expr: the expression.
        written: as in `text`.
    """
    if expr.variant_name() == "BinaryExpr" and expr.rex_call_operator() in ("/", "%"):
        left, right = direct_parts(expr)
        return f"{_shown(left)} {expr.rex_call_operator()} nullif({_shown(right)}, 0)"
    if expr.variant_name() == "ScalarFunction" and "to_timestamp" in expr.rex_call_operator():
        read = direct_parts(expr)[0]  # which Kalla reads as a cast does
        return remedy(read, written) if read.variant_name() == "Cast" else None
    if expr.variant_name() != "Cast":
        return None
    (operand,) = direct_parts(expr)
    target = cast_target(expr)
    if _ZONED.fullmatch(target):
        return None
    if is_computed(operand):
        return f"{_shown(operand)} over values that are CAST AS DECIMAL(38, 0)"
    if target.startswith("Timestamp(ns"):
        return (
            f"CAST({_shown(operand)} AS TIMESTAMP(6)), and so of dates that it meets, which "
            "reaches beyond 2262"
        )
    return f"TRY_CAST({_shown(operand)} AS {_target(operand, target, written)}) for NULL there"


def without_seconds(expr: Expr) -> str | None:
    """Return what reads texts of moments that have no seconds, for a cast that does not."""
    if expr.variant_name() != "Cast" or not cast_target(expr).startswith("Timestamp("):
        return None
    (operand,) = direct_parts(expr)
    return f"to_timestamp({_shown(operand)}, '%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M')"


def _target(operand: Expr, target: str, written: Written) -> str:
    """Return the type of a cast as it is written, or else as SQL calls it."""
    try:
        found = written.find(_shown(operand), str(parse_type(target)))
    except UnknownType:
        found = None
    return _sql_type(target) if found is None else found.target


def _shown(expr: Expr) -> str:
    return _WINDOW.sub(" OVER (...)", shown(expr))


def is_computed(expr: Expr) -> bool:
    """Whether a cast of an expression is one of ours, which an aggregate or arithmetic needs."""
    if expr.variant_name() == "Column":  # the result of an aggregate or of a window
        return bool(_CALLED.match(expr.to_variant().name()))
    if expr.variant_name() == "BinaryExpr":
        return is_arithmetic(expr)
    return expr.variant_name() in ("Negative", "AggregateFunction", "WindowFunction")


def _sql_type(target: str) -> str:
    decimal = re.fullmatch(r"Decimal\d+\((\d+), ?(-?\d+)\)", target)
    if decimal is not None:
        return f"DECIMAL({decimal[1]}, {decimal[2]})"
    moment = re.match(r"Timestamp\((\w+)", target.replace("µ", "u"))
    if moment is not None:
        return "TIMESTAMP(9)" if moment[1] == "ns" else "TIMESTAMP(6)"
    return _SQL_TYPES.get(target, target)


_WINDOW = re.compile(r"(?<=\)) (?:PARTITION BY|ORDER BY|RANGE|ROWS|GROUPS) .*")
_CALLED = re.compile(r"\w+\(")
_ZONED = re.compile(r'Timestamp\([^,]+, "(.*)"\)')
_SQL_TYPES = {
    "Boolean": "BOOLEAN", "Int8": "TINYINT", "Int16": "SMALLINT", "Int32": "INT",
    "Int64": "BIGINT", "Float32": "REAL", "Float64": "DOUBLE", "Date32": "DATE", "Utf8": "VARCHAR",
}  # fmt: skip
