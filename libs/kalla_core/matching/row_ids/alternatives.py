"""The alternatives of an OR that could each join by a key of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import and_

from datafusion import Expr

from kalla_core.matching.plans.expressions import OpaqueExpression, columns, conjuncts, operands


def chosen_alternatives(predicate: Expr, take: Callable[[int], int]) -> Expr:
    """Return a condition with one alternative in the place of each OR that compares columns.

    Args:
        take: given how many alternatives there are, returns the number of one.
    """
    return reduce(and_, (_chosen(part, take) for part in conjuncts(predicate)))


def _chosen(part: Expr, take: Callable[[int], int]) -> Expr:
    alternatives = _alternatives(part)
    if len(alternatives) == 1 or not any(map(_has_equality, alternatives)):
        return part
    return alternatives[take(len(alternatives))]


def _alternatives(expr: Expr) -> tuple[Expr, ...]:
    if expr.variant_name() == "BinaryExpr" and expr.rex_call_operator() == "OR":
        return tuple(one for side in operands(expr) for one in _alternatives(side))
    return (expr,)


def _has_equality(alternative: Expr) -> bool:
    """Whether an alternative asks that something of one column equals something of another."""
    return any(
        part.variant_name() == "BinaryExpr"
        and part.rex_call_operator() == "="
        and all(map(_reads, operands(part)))
        for part in conjuncts(alternative)
    )


def _reads(expr: Expr) -> bool:
    try:
        return bool(columns(expr))
    except OpaqueExpression:
        return False
