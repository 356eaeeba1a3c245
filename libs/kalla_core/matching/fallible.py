"""Expressions of a match SQL that may fail on a value of one source row: casts, divisions, calls.

For the error message when one did: each can be evaluated over the rows of its source alone, so that
the row can be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from datafusion import DataFrame, Expr, LogicalPlan, SessionContext

from kalla_core.matching.casts import (
    cast_target,
    direct_parts,
    every_part,
    expressions_of,
    shown,
)
from kalla_core.matching.logical import Operator, Scan, read
from kalla_core.matching.planning import PlanningFailed, analysed, planning_session
from kalla_core.matching.prepare import PreparedSql, register_calls
from kalla_core.matching.query import MatchQuery, Side
from kalla_core.matching.routes import NoRoute, Route, routes_to, source
from kalla_core.matching.tables import table_names


@dataclass(frozen=True, slots=True)
class Fallible:
    """An expression over one source row.

    Attributes:
        text: the expression as people write it.
        remedy: what to write instead; None if nothing general.
    """

    side: Side
    route: Route
    expr: Expr
    text: str
    remedy: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns it reads."""
        return self.route.columns

    def over(self, session: SessionContext) -> DataFrame:
        """Return its value for each row of its side's table in `session`."""
        return self.route.follow(source(session, self.side)).select(self.expr.alias("value"))


def fallibles(query: MatchQuery, prepared: PreparedSql) -> tuple[Fallible, ...]:
    """Return what may fail, the innermost and the lowest in the plan first."""
    plan = _plan(query, prepared)
    sides = _sides(query)
    if plan is None:
        return ()
    return tuple(
        fallible for operator, expr in _suspects(plan) for fallible in _found(operator, expr, sides)
    )


def two_sided(query: MatchQuery, prepared: PreparedSql, reason: str) -> tuple[str, ...]:
    """Return, as text, what may have failed for `reason` and cannot be told from one source row."""
    plan = _plan(query, prepared)
    sides = _sides(query)
    if plan is None:
        return ()
    found = (
        _text(expr)
        for operator, expr in _suspects(plan)
        if _fits(expr, reason) and not any(_found(operator, expr, sides))
    )
    return tuple(dict.fromkeys(found))


def _fits(expr: Expr, reason: str) -> bool:
    """Whether an expression fails with such words of DataFusion's."""
    kind = expr.variant_name()
    if "ivide by zero" in reason:
        return kind == "BinaryExpr" and expr.rex_call_operator() in ("/", "%")
    if re.search(r"\bcast\b", reason, re.IGNORECASE):
        return kind == "Cast"
    return kind != "Cast"


def _sides(query: MatchQuery) -> Mapping[str, Side]:
    places = dict(enumerate(Side))
    return {name: places[n] for name, n in table_names(query).items() if n in places}


def _plan(query: MatchQuery, prepared: PreparedSql) -> LogicalPlan | None:
    session = planning_session(query)
    register_calls(session, prepared)
    try:
        return analysed(session, prepared.text)
    except PlanningFailed:
        return None


def _suspects(plan: LogicalPlan) -> Iterator[tuple[Operator, Expr]]:
    for operator in _operators(plan):
        for top in expressions_of(operator):
            for expr in _inner_first(top):
                if _may_fail(expr):
                    yield operator, expr


def _operators(plan: LogicalPlan) -> Iterator[Operator]:
    operator = read(plan)
    for below in operator.inputs:
        yield from _operators(below)
    yield operator


def _inner_first(expr: Expr) -> list[Expr]:
    return list(reversed(list(every_part(expr))))


def _may_fail(expr: Expr) -> bool:
    kind = expr.variant_name()
    if kind == "BinaryExpr":
        return expr.rex_call_operator() in ("+", "-", "*", "/", "%")
    return kind in ("Cast", "ScalarFunction", "Negative")


def _found(operator: Operator, expr: Expr, sides: Mapping[str, Side]) -> Iterator[Fallible]:
    plans = (operator.plan,) if isinstance(operator, Scan) else operator.inputs
    for plan in plans:
        try:
            found = routes_to(plan, [expr], sides)
        except NoRoute:
            continue
        for route in found:
            if route.columns:
                yield Fallible(route.side, route, expr, _text(expr), _remedy(expr))


def _text(expr: Expr) -> str:
    """Return an expression as people write it; a cast of ours around arithmetic is left out."""
    if expr.variant_name() != "Cast":
        return shown(expr)
    (operand,) = direct_parts(expr)
    target = cast_target(expr)
    zone = _ZONED.fullmatch(target)
    if zone is not None:
        return f"{shown(operand)} AT TIME ZONE '{zone[1]}'"
    if _is_arithmetic(operand):
        return shown(operand)
    return f"CAST({shown(operand)} AS {_sql_type(target)})"


def _remedy(expr: Expr) -> str | None:
    if expr.variant_name() == "BinaryExpr" and expr.rex_call_operator() in ("/", "%"):
        left, right = direct_parts(expr)
        return f"{shown(left)} {expr.rex_call_operator()} nullif({shown(right)}, 0)"
    if expr.variant_name() != "Cast":
        return None
    (operand,) = direct_parts(expr)
    target = cast_target(expr)
    if _ZONED.fullmatch(target):
        return None
    if _is_arithmetic(operand):
        return f"{shown(operand)} over values that are CAST AS DECIMAL(38, 0)"
    if target.startswith("Timestamp(ns"):
        return f"CAST({shown(operand)} AS TIMESTAMP(6)), which reaches beyond 2262"
    return f"TRY_CAST({shown(operand)} AS {_sql_type(target)}) for NULL there"


def _is_arithmetic(expr: Expr) -> bool:
    return expr.variant_name() in ("BinaryExpr", "Negative", "AggregateFunction")


def _sql_type(target: str) -> str:
    decimal = re.fullmatch(r"Decimal\d+\((\d+), ?(-?\d+)\)", target)
    if decimal is not None:
        return f"DECIMAL({decimal[1]}, {decimal[2]})"
    moment = re.match(r"Timestamp\((\w+)", target.replace("µ", "u"))
    if moment is not None:
        return "TIMESTAMP(9)" if moment[1] == "ns" else "TIMESTAMP(6)"
    return _SQL_TYPES.get(target, target)


_ZONED = re.compile(r'Timestamp\([^,]+, "(.*)"\)')
_SQL_TYPES = {
    "Boolean": "BOOLEAN", "Int8": "TINYINT", "Int16": "SMALLINT", "Int32": "INT",
    "Int64": "BIGINT", "Float32": "REAL", "Float64": "DOUBLE", "Date32": "DATE", "Utf8": "VARCHAR",
}  # fmt: skip
