"""Which expressions have an answer for every row, and how to make casts have one.

A key is computed for all rows of a source, also for those that a WHERE of the match SQL removes
before it computes anything. Where the SQL would never have failed, the key must not fail either.
"""

from __future__ import annotations

import pyarrow as pa
from datafusion import Expr, LogicalPlan
from datafusion import functions as f

from kalla_core.matching.expressions import OpaqueExpression, operands, walk
from kalla_core.matching.lineage import Reader
from kalla_core.matching.lossless import is_text, loses_nothing

_FUNCTIONS = frozenset(
    """
    abs ascii btrim character_length coalesce concat concat_ws date_part date_trunc ends_with
    greatest initcap least left length lower lpad ltrim md5 norm_ref nullif octet_length
    regexp_replace replace reverse right rpad rtrim split_part starts_with strpos substr
    substring to_char to_local_time translate trim upper
    """.split()  # noqa: SIM905 - a list of words
)
_KINDS = frozenset(
    """
    Alias Between Case Column ILike InList IsFalse IsNotFalse IsNotNull IsNotTrue IsNotUnknown
    IsNull IsTrue IsUnknown Like Literal Negative Not TryCast
    """.split()  # noqa: SIM905 - a list of words
)
_READ_TEXT = frozenset(
    """
    to_date to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos
    to_timestamp_seconds
    """.split()  # noqa: SIM905 - a list of words
)
"""Functions that, of one text, give what a cast to their type gives, or fail."""
_LAZY_FUNCTIONS = frozenset({"coalesce", "ifnull", "nvl", "nvl2"})
_LAZY_OPERATORS = frozenset({"AND", "OR"})
_MAY_OVERFLOW = {"+", "-", "*"}
_MAY_DIVIDE_BY_ZERO = {"/", "%"}


def tolerant(expr: Expr, plan: LogicalPlan, reader: Reader) -> Expr:
    """Return `expr` with its outer casts giving null where they would fail.

    Args:
        plan: over whose output `expr` is.
    """
    kind = expr.variant_name()
    if kind == "Alias":
        return tolerant(operands(expr)[0], plan, reader)
    if kind == "Cast":
        return tolerant(operands(expr)[0], plan, reader).try_cast(reader.type_of(expr, plan))
    return expr


def never_fails(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    """Whether `expr` over the output of `plan` has an answer for whatever a row holds."""
    try:
        return all(_total(part, plan, reader) for part in walk(expr))
    except OpaqueExpression:
        return False


def guarded(expr: Expr, plan: LogicalPlan, reader: Reader) -> Expr | None:
    """Return `expr`, null for rows for which it would fail; None if that cannot be had.

    The parts that may fail are tried first, inner ones before outer ones, and the whole is only
    asked for where all of them succeed.
    """
    if never_fails(expr, plan, reader):
        return expr
    try:
        parts = tuple(walk(expr))
        # What is asked for some rows only must not be tried for others: they have a value.
        if any(map(_is_lazy, parts)):
            return None
        risky = [part for part in parts if not _total(part, plan, reader)]
        for part in risky:  # from the outermost to the innermost, which is then tried first
            attempt = _attempt(part, plan, reader)
            if attempt is None:
                return None
            given = operands(part)[0]
            expr = f.when(given.is_null() | attempt.is_not_null(), expr).end()
    except OpaqueExpression:
        return None
    return expr


def _attempt(expr: Expr, plan: LogicalPlan, reader: Reader) -> Expr | None:
    """Return the conversion `expr` so that it gives null where it fails; None if it is none."""
    given = operands(expr)
    if expr.variant_name() == "ScalarFunction":
        reads_text = expr.rex_call_operator() in _READ_TEXT and len(given) == 1
        if not reads_text or not is_text(reader.type_of(given[0], plan)):
            return None
    elif expr.variant_name() != "Cast":
        return None
    return given[0].try_cast(reader.type_of(expr, plan))


def _is_lazy(expr: Expr) -> bool:
    """Whether `expr` may leave parts of it unasked for some rows."""
    kind = expr.variant_name()
    if kind == "ScalarFunction":
        return expr.rex_call_operator() in _LAZY_FUNCTIONS
    return kind == "Case" or (kind == "BinaryExpr" and expr.rex_call_operator() in _LAZY_OPERATORS)


def _total(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    kind = expr.variant_name()
    if kind == "ScalarFunction":
        # Kalla's own functions carry the number of their variant.
        return expr.rex_call_operator().split("__")[0] in _FUNCTIONS
    if kind == "BinaryExpr":
        return _total_operation(expr, plan, reader)
    if kind == "Cast":
        after = reader.type_of(expr, plan)
        return is_text(after) or loses_nothing(reader.type_of(operands(expr)[0], plan), after)
    return kind in _KINDS


def _total_operation(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    operator = expr.rex_call_operator()
    if operator in _MAY_OVERFLOW:
        found = reader.type_of(expr, plan)
        return bool(pa.types.is_integer(found) or pa.types.is_floating(found))
    if operator in _MAY_DIVIDE_BY_ZERO:
        divisor = operands(expr)[1]
        return divisor.variant_name() == "Literal" and "(0" not in divisor.canonical_name()
    return True
