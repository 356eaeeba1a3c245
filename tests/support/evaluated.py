"""Match SQL over a few rows, prepared as for a run, and what it gives."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from kalla_core.engine.failures import query_errors
from kalla_core.matching.plans.prepare import prepare, register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.sql.tables import register_tables
from tests.support.queries import STARTED_AT


def evaluated(sql: str, left: pa.Table, right: pa.Table | None = None) -> list[dict[str, Any]]:
    """Return the rows of a statement over left_src and right_src, prepared as for a run."""
    right = left if right is None else right
    shapes = (TableShape("l", left.schema, ("id",)), TableShape("r", right.schema, ("id",)))
    query = MatchQuery(sql, *shapes, (), STARTED_AT)
    prepared = prepare(query)
    session = new_session()
    register_tables(session, query, left.to_batches(), right.to_batches(), {})
    register_calls(session, prepared)
    with query_errors():
        rows: list[dict[str, Any]] = session.sql(prepared.text).to_arrow_table().to_pylist()
    return rows


def value(expression: str, **columns: pa.Array) -> Any:
    """Return an expression over one row."""
    table = pa.table({"id": [1], **columns})
    (row,) = evaluated(f"select {expression} as x from left_src", table)
    return row["x"]
