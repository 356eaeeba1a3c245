"""Whether both sides of every comparison have one type in the plan that runs.

Types are checked before a plan is optimised. What gets another type after that (a function whose
type hangs on a literal that was not folded yet) would be compared as bytes of unlike types: a join
on such a key finds nothing, in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from datafusion import Expr, LogicalPlan, SessionContext

from kalla_core.errors import TypesNotComparable
from kalla_core.matching.plans.casts import Scope, every_part, expressions_of, shown
from kalla_core.matching.plans.logical import read
from kalla_core.matching.plans.lossless import is_text
from kalla_core.matching.sql.arrow_types import all_spoken

_COMPARED = frozenset({"=", "!=", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"})


def check_agreement(session: SessionContext, plan: LogicalPlan) -> None:
    """Return if the sides of each comparison and of each join key have one type.

    Args:
        session: any session; types are asked of it.
        plan: optimised, as it will run. Only functions have types that change; a plan without any
            is as it was checked.

    Raises:
        TypesNotComparable: they do not.
    """
    if not any(_may_change(expr) for expr in _all_expressions(plan)):
        return
    for scope, left, right in _comparisons(session, plan):
        one, other = scope.type_of(left), scope.type_of(right)
        if one is not None and other is not None and not _agree(one, other):
            raise TypesNotComparable(
                f"{shown(left)} is {_said(one)} and {shown(right)} is {_said(other)} in the plan "
                "that runs, so they cannot be compared as they are; CAST one of them to the type "
                "of the other in the match SQL."
            )


def _may_change(expr: Expr) -> bool:
    return any(part.variant_name() == "ScalarFunction" for part in every_part(expr))


def _all_expressions(plan: LogicalPlan) -> Iterator[Expr]:
    operator = read(plan)
    yield from expressions_of(operator)
    for below in operator.inputs:
        yield from _all_expressions(below)


def _comparisons(session: SessionContext, plan: LogicalPlan) -> Iterator[tuple[Scope, Expr, Expr]]:
    operator = read(plan)
    scope = Scope(session, operator)
    for top in expressions_of(operator):
        for expr in every_part(top):
            if expr.variant_name() == "BinaryExpr" and expr.rex_call_operator() in _COMPARED:
                left, right = expr.rex_call_operands()
                yield scope, left, right
    for below in operator.inputs:
        yield from _comparisons(session, below)


def _agree(one: pa.DataType, other: pa.DataType) -> bool:
    if one == other or pa.types.is_null(one) or pa.types.is_null(other):
        return True
    return bool(_plain(one) == _plain(other))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type apart from how its values are laid out or which zone they are shown in."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if is_text(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    return kind


def _said(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return all_spoken(str(kind))
