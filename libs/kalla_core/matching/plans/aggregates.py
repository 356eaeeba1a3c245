"""Aggregates whose answer hangs on the order of the rows, and sums that hang on it a little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from datafusion import Expr, LogicalPlan, SessionContext

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.logical import (
    Aggregated,
    Operator,
    Windowed,
    as_expr,
    read,
    unaliased,
)
from kalla_core.matching.sql.forbidden import APPROXIMATE, ORDER_DEPENDENT
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.sites import call_sites, is_ordered
from kalla_core.matching.sql.text import where

_ROUNDED = frozenset(
    """
    avg corr covar_pop covar_samp mean regr_avgx regr_avgy regr_intercept regr_r2 regr_slope
    regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp sum try_sum var var_pop
    var_population var_samp
    var_sample
    """.split()  # noqa: SIM905
)


def check_order(sql: str, tokens: Sequence[Token]) -> None:
    """Return if every aggregate that depends on the order of its rows says which it is.

    Raises:
        InvalidSql: one does not, or is approximate.
    """
    for site in call_sites(tokens):
        name = site.name.value
        if name in APPROXIMATE:
            exact = "median" if name == "approx_median" else "percentile_cont"
            what = f"{name} depends on how the rows are cut into pieces"
            raise InvalidSql(**where(sql, site.name.start, what, f"; use {exact}."))
        if name in ORDER_DEPENDENT and not is_ordered(tokens, site):
            what = f"{name} depends on the order of the rows"
            remedy = f"; write {name}(... ORDER BY ...), or use min or max."
            raise InvalidSql(**where(sql, site.name.start, what, remedy))


def float_sums(session: SessionContext, plan: LogicalPlan) -> tuple[str, ...]:
    """Return a warning for each sum or average of floating-point numbers in `plan`."""
    warnings = (
        f"{name}({argument.canonical_name()}) adds floating-point numbers: its last digits may "
        "differ from run to run. CAST the column AS DECIMAL for exact sums."
        for operator in _operators(plan)
        for name, argument in _rounded(operator)
        if _is_float(session, operator, argument)
    )
    return tuple(dict.fromkeys(warnings))


def _operators(plan: LogicalPlan) -> Iterator[Operator]:
    operator = read(plan)
    yield operator
    for source in operator.inputs:
        yield from _operators(source)


def _rounded(operator: Operator) -> Iterator[tuple[str, Expr]]:
    """Yield function and argument of what rounds when it adds."""
    match operator:
        case Aggregated(aggregates=aggregates):
            calls = [unaliased(expr) for expr in aggregates]
            variants = [
                call.to_variant() for call in calls if call.variant_name() == "AggregateFunction"
            ]
            named = [
                (one.aggregate_type(), tuple(as_expr(raw) for raw in one.args()))
                for one in variants
            ]
        case Windowed(functions=functions):
            named = [(function.name, function.args) for function in functions]
        case _:
            named = []
    for name, arguments in named:
        if name.lower() in _ROUNDED:
            for argument in arguments:
                yield name.lower(), argument


def _is_float(session: SessionContext, operator: Operator, argument: Expr) -> bool:
    frame = session.create_dataframe_from_logical_plan(operator.input)
    typed = frame.select(argument.alias("__kalla_value")).schema().field(0).type
    return bool(pa.types.is_floating(typed))
