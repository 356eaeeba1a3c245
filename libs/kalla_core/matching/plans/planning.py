"""DataFusion as a planner of one job's SQL: what may be planned, and what it says if it may not."""

from __future__ import annotations

import re

from datafusion import DataFrame, LogicalPlan, SessionContext, SQLOptions

from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.forbidden import take_away
from kalla_core.matching.sql.query import MatchQuery
from kalla_core.matching.sql.tables import register_shapes

_QUERIES_ONLY = (
    SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
)

# All rules but those that check types and those that turn sub-queries into joins, which the
# bindings can look into. A rule missing here makes a plan harder to read, no more; one that no
# longer exists is passed over.
_RULES = [
    "common_sub_expression_eliminate",
    "eliminate_cross_join",
    "eliminate_duplicated_expr",
    "eliminate_filter",
    "eliminate_group_by_constant",
    "eliminate_join",
    "eliminate_limit",
    "eliminate_outer_join",
    "extract_equijoin_predicate",
    "extract_leaf_expressions",
    "filter_null_join_keys",
    "optimize_projections",
    "optimize_unions",
    "propagate_empty_relation",
    "push_down_filter",
    "push_down_leaf_projections",
    "push_down_limit",
    "replace_distinct_aggregate",
    "simplify_expressions",
    "single_distinct_aggregation_to_group_by",
    "unions_to_filter",
]


class PlanningFailed(Exception):
    """DataFusion does not plan a statement; the message is DataFusion's own."""


def planning_session(query: MatchQuery) -> SessionContext:
    """Return a session with the job's tables, empty, that checks types and optimises nothing.

    Raises:
        InvalidSql: two tables have the same name.
    """
    session = full_session(query)
    for rule in _RULES:
        session.remove_optimizer_rule(rule)
    return session


def full_session(query: MatchQuery) -> SessionContext:
    """Return a session with the job's tables, empty, that plans as a run does.

    Raises:
        InvalidSql: two tables have the same name.
    """
    session = new_session()
    take_away(session)
    register_shapes(session, query)
    return session


def raw(session: SessionContext, sql: str) -> LogicalPlan:
    """Return the plan of `sql` as it is written, types unchecked.

    Raises:
        PlanningFailed: it does not parse or plan, or is no query.
    """
    try:
        return session.sql_with_options(sql, _QUERIES_ONLY).logical_plan()
    except BaseException as error:
        raise _failure(error) from None


def column_names(session: SessionContext, plan: LogicalPlan) -> tuple[str, ...]:
    """Return the names of the columns of a plan that `session` made."""
    return tuple(session.create_dataframe_from_logical_plan(plan).schema().names)


def analysed(session: SessionContext, sql: str) -> LogicalPlan:
    """Return the plan of `sql` with its types checked, optimised as far as `session` does so.

    Raises:
        PlanningFailed: it does not parse or plan, or is no query.
    """
    try:
        return session.sql_with_options(sql, _QUERIES_ONLY).optimized_logical_plan()
    except BaseException as error:
        raise _failure(error) from None


def check_runnable(session: SessionContext, sql: str) -> None:
    """Return if `sql` can also be run: not all that can be planned can.

    Raises:
        PlanningFailed: as `analysed`; or an operator or expression of it has no implementation.
    """
    try:
        frame = session.sql_with_options(sql, _QUERIES_ONLY)
    except BaseException as error:
        raise _failure(error) from None
    try:
        frame.collect()  # the tables are empty; many an aggregate only says now what it cannot do
    except BaseException as error:
        _demand_execution_plan(frame)
        failure = _failure(error)
        if not isinstance(failure, PlanningFailed) or _SAYS_SO.search(str(failure)):
            raise failure from None


def _demand_execution_plan(frame: DataFrame) -> None:
    try:
        frame.execution_plan()
    except BaseException as error:
        raise _failure(error) from None


_SAYS_SO = re.compile("feature is not implemented|panicked|assertion")


def _failure(error: BaseException) -> BaseException:
    # DataFusion raises plain ValueErrors and Exceptions, and panics that are no Exceptions.
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return PlanningFailed(str(error))
    return error
