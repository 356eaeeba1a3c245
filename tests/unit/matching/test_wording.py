"""Expressions as people read them."""

from __future__ import annotations

import pytest
from datafusion import SessionContext

from kalla_core.matching.plans.wording import worded
from kalla_core.matching.sql.written import Written

CASES = [
    ("TIMESTAMP(6) '2026-01-01 10:00:00.5'", "'2026-01-01 10:00:00.5'"),
    ("TIMESTAMP(9) '2026-01-01 10:00:00'", "'2026-01-01 10:00:00'"),
    ("TIMESTAMP(6) '2026-01-01 10:00:00' AT TIME ZONE 'UTC'", "'2026-01-01 10:00:00Z'"),
    ("DATE '2026-01-01'", "'2026-01-01'"),
    ("TIME '10:20:00'", "'10:20:00'"),
    ("INTERVAL '1 month 2 days 3 hours 1.5 seconds'", "'1 month 2 days 3 hours 1.5 seconds'"),
    ("INTERVAL '0 days'", "INTERVAL '0 days'"),
    ("1.50", "1.5"),
    ("'it''s'", "'it''s'"),
]


@pytest.mark.parametrize(("sql", "expected"), CASES)
def test_a_literal_is_told_as_in_sql(sql: str, expected: str) -> None:
    plan = SessionContext().sql(f"SELECT {sql} AS x").optimized_logical_plan()
    (literal,) = plan.to_variant().projections()

    told = worded(literal, Written())

    assert expected in told
    assert "(" not in told
