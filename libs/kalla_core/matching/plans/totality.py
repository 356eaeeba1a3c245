"""Which expressions have an answer for every row, and how to make casts have one.

A key is computed for all rows of a source, also for those that a WHERE of the match SQL removes
before it computes anything. Where the SQL would never have failed, the key must not fail either.
"""

from __future__ import annotations

import operator as operators
from decimal import Decimal

import pyarrow as pa
from datafusion import Expr, LogicalPlan, lit
from datafusion import functions as f

from kalla_core.matching.plans.expressions import OpaqueExpression, operands, walk
from kalla_core.matching.plans.formats import formatted_succeeds
from kalla_core.matching.plans.lineage import Reader
from kalla_core.matching.plans.lossless import always_fits, is_text, loses_nothing

_FUNCTIONS = frozenset(
    """
    abs array_element array_to_string ascii bit_length btrim character_length coalesce concat
    concat_ws date_part date_trunc date_within days_between ends_with extract_refs find_in_set
    greatest initcap jaro_winkler least left length levenshtein lower lpad ltrim make_array md5
    norm_name norm_ref nullif octet_length parse_amount refs_match regexp_count regexp_instr
    regexp_like regexp_match regexp_replace replace reverse right rpad rtrim sha224 sha256 sha384
    sha512 split_part starts_with strpos substr substring substring_index to_char to_hex
    to_local_time token_set_ratio token_sort_ratio tolerance_match tolerance_pct translate trim
    upper
    """.split()  # noqa: SIM905 - a list of words
)
_OF_NUMBERS = frozenset({"ceil", "floor", "round", "trunc"})
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
_OVERFLOWING = {"+": operators.add, "-": operators.sub, "*": operators.mul}
_MAY_OVERFLOW = frozenset(_OVERFLOWING)
_MAY_DIVIDE_BY_ZERO = frozenset({"/", "%"})
_MOST_DIGITS = 38
_FARTHEST_DAY = 95_000_000
"""From 1970, in either direction: some 260,000 years, where DataFusion's calendar nearly ends."""
_LEAST = {8: -(1 << 7), 16: -(1 << 15), 32: -(1 << 31), 64: -(1 << 63)}


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
            succeeds = _succeeds(part, plan, reader)
            if succeeds is None:
                return None
            expr = f.when(succeeds, expr).end()
    except OpaqueExpression:
        return None
    return expr


def _succeeds(expr: Expr, plan: LogicalPlan, reader: Reader) -> Expr | None:
    """Return whether `expr` has an answer, null of null, for a row for which its parts have one.

    None if that cannot be told.
    """
    kind = expr.variant_name()
    given = operands(expr)
    if kind == "BinaryExpr":
        return _operation_succeeds(expr, plan, reader)
    if kind == "ScalarFunction":
        return _function_succeeds(expr, plan, reader)
    if kind != "Cast":
        return None
    return given[0].is_null() | given[0].try_cast(reader.type_of(expr, plan)).is_not_null()


def _function_succeeds(expr: Expr, plan: LogicalPlan, reader: Reader) -> Expr | None:
    name, given = expr.rex_call_operator(), operands(expr)
    if name in _READ_TEXT and is_text(reader.type_of(given[0], plan)):
        if len(given) == 1:
            cast = given[0].try_cast(reader.type_of(expr, plan))
            return given[0].is_null() | cast.is_not_null()
        return formatted_succeeds(given[0], given[1:]) if name == "to_date" else None
    found = reader.type_of(given[0], plan)
    if name in ("ceil", "floor") and pa.types.is_decimal(found):
        most = Decimal(10 ** (found.precision - found.scale) - 1)
        if name == "ceil":
            return given[0] <= lit(pa.scalar(most, found))
        return given[0] >= lit(pa.scalar(-most, found))
    return None


def _operation_succeeds(expr: Expr, plan: LogicalPlan, reader: Reader) -> Expr | None:
    operator = expr.rex_call_operator()
    left, right = operands(expr)
    types = reader.type_of(left, plan), reader.type_of(right, plan)
    if operator in _MAY_DIVIDE_BY_ZERO and all(map(pa.types.is_integer, types)):
        not_zero = right != lit(0)
        if operator == "%" or not pa.types.is_signed_integer(types[0]):
            return not_zero
        least = lit(pa.scalar(_LEAST[types[0].bit_width], types[0]))
        return not_zero & ((right != lit(-1)) | (left != least))
    if pa.types.is_date32(types[0]) and pa.types.is_interval(types[1]):
        return left.cast(pa.int32()).between(lit(-_FARTHEST_DAY), lit(_FARTHEST_DAY))
    result = reader.type_of(expr, plan)
    if not pa.types.is_decimal128(result) or not all(map(pa.types.is_decimal128, types)):
        return None
    if operator in _MAY_DIVIDE_BY_ZERO:
        fits = _digits_while_dividing(operator, types[0], types[1], result) <= _MOST_DIGITS
        return right != lit(0) if fits else None
    wide = (
        side.cast(pa.decimal256(kind.precision, kind.scale))
        for side, kind in zip((left, right), types, strict=True)
    )
    within = _is_in_128_bits(_OVERFLOWING[operator](*wide), result.scale)
    return left.is_null() | right.is_null() | within


def _is_in_128_bits(wide: Expr, scale: int) -> Expr:
    """Return whether a decimal is one that DataFusion holds, which it does beyond 38 digits."""
    digits = tuple(map(int, str((1 << 127) - 1)))
    least, most = (
        lit(pa.scalar(Decimal((sign, digits, -scale)), pa.decimal256(len(digits), scale)))
        for sign in (1, 0)
    )
    return wide.between(least, most)


def _digits_while_dividing(
    operator: str, dividend: pa.Decimal128Type, divisor: pa.Decimal128Type, result: pa.DataType
) -> int:
    """Return how many digits numbers may have on the way to a quotient or a remainder."""
    if operator == "%":
        scale = max(dividend.scale, divisor.scale)
        return max(int(one.precision) - int(one.scale) + int(scale) for one in (dividend, divisor))
    more = int(result.scale) - int(dividend.scale) + int(divisor.scale)
    return max(int(dividend.precision) + more, int(divisor.precision) + max(-more, 0))


def _is_lazy(expr: Expr) -> bool:
    """Whether `expr` may leave parts of it unasked for some rows."""
    kind = expr.variant_name()
    if kind == "ScalarFunction":
        return expr.rex_call_operator() in _LAZY_FUNCTIONS
    return kind == "Case" or (kind == "BinaryExpr" and expr.rex_call_operator() in _LAZY_OPERATORS)


def _total(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    kind = expr.variant_name()
    if kind == "ScalarFunction":
        return _total_function(expr, plan, reader)
    if kind == "BinaryExpr":
        return _total_operation(expr, plan, reader)
    if kind == "Cast":
        before, after = reader.type_of(operands(expr)[0], plan), reader.type_of(expr, plan)
        return is_text(after) or loses_nothing(before, after) or always_fits(before, after)
    return kind in _KINDS


def _total_function(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    # Kalla's own functions carry the number of their variant.
    name = expr.rex_call_operator().split("__")[0]
    if name not in _OF_NUMBERS:
        return name in _FUNCTIONS
    found = reader.type_of(operands(expr)[0], plan)
    if pa.types.is_decimal(found):
        return name in ("round", "trunc") or found.scale == 0
    return bool(pa.types.is_floating(found))


def _total_operation(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    operator = expr.rex_call_operator()
    if operator not in _MAY_OVERFLOW | _MAY_DIVIDE_BY_ZERO:
        return True
    found = reader.type_of(expr, plan)
    if pa.types.is_floating(found):
        return True
    if operator in _MAY_DIVIDE_BY_ZERO:
        divisor = operands(expr)[1]
        return divisor.variant_name() == "Literal" and "(0" not in divisor.canonical_name()
    return pa.types.is_integer(found) or _has_room(expr, plan, reader)


def _has_room(expr: Expr, plan: LogicalPlan, reader: Reader) -> bool:
    """Whether the sum, difference or product of two decimals has never too many digits."""
    left, right = (reader.type_of(side, plan) for side in operands(expr))
    if not pa.types.is_decimal128(left) or not pa.types.is_decimal128(right):
        return False
    if expr.rex_call_operator() == "*":
        return bool(left.precision + right.precision <= _MOST_DIGITS)
    scale = max(left.scale, right.scale)
    whole = max(left.precision - left.scale, right.precision - right.scale)
    return bool(whole + scale + 1 <= _MOST_DIGITS)
