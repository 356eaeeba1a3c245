"""Functions that match SQL may not call, because their answer is not a matter of the rows alone."""

from __future__ import annotations

from datafusion import SessionContext

VOLATILE = frozenset({"rand", "random", "shuffle", "uuid", "gen_random_uuid", "uuid_string"})
"""Another answer at every call."""

FILE_FUNCTIONS = frozenset({"file_row_index", "input_file_name"})
"""Say from which file, and from where in it, a row was read."""

SESSION_FUNCTIONS = frozenset({"spark_cast"})
"""Depend on settings of the session."""

CLOCK = frozenset({"now", "today", "current_date", "current_time", "current_timestamp"})
"""Tell the time; in prepared SQL a literal stands in their place."""

TABLE_FUNCTIONS = frozenset({"generate_series", "range"})
"""Make rows from nothing when they stand in FROM (as values they make lists, which is fine)."""

ORDER_DEPENDENT = frozenset(
    {
        "any_value",
        "array_agg",
        "collect_list",
        "collect_set",
        "first_value",
        "last_value",
        "nth_value",
        "string_agg",
    }
)
"""Aggregates whose answer depends on the order in which the rows come."""

APPROXIMATE = frozenset(
    {"approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight"}
)
"""Aggregates whose answer depends on how the rows are cut into pieces."""


def take_away(session: SessionContext) -> None:
    """Make `session` forget the functions that prepared SQL cannot call.

    What is checked in the text is thereby also impossible in a plan, however it is spelt.
    """
    for name in VOLATILE | FILE_FUNCTIONS | SESSION_FUNCTIONS | CLOCK:
        session.deregister_udf(name)
    for name in TABLE_FUNCTIONS:
        session.deregister_udtf(name)
