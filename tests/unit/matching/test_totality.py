from __future__ import annotations

import pytest
from datafusion import SessionContext

from kalla_core.matching.lineage import Reader
from kalla_core.matching.logical import as_expr
from kalla_core.matching.session import new_session
from kalla_core.matching.tables import register_shapes
from kalla_core.matching.totality import never_fails, tolerant
from tests.unit.matching.nasty import query


@pytest.fixture
def session() -> SessionContext:
    session = new_session()
    register_shapes(session, query(""))
    return session


def is_safe(session: SessionContext, sql: str) -> bool:
    table = session.table("left_src")
    frame = table.select(table.parse_sql_expr(sql).alias("x"))
    plan = session.create_dataframe_from_logical_plan(frame.optimized_logical_plan())
    (expr,) = plan.logical_plan().to_variant().projections()
    return never_fails(as_expr(expr), table.logical_plan(), Reader(session))


@pytest.mark.parametrize(
    "sql",
    [
        "lower(trim(ref)) || '-'",
        "case when k = 1 then 2 else grp end",
        "cast(k as bigint) + 1",
        "cast(k as varchar)",
        "k % 7",
        "try_cast(ref as int) * 2",
        "coalesce(k, -1)",
        "ref in ('a', 'b') or ref like 'x%'",
        "date_trunc('month', at)",
    ],
)
def test_what_has_an_answer_for_every_row_is_safe(session: SessionContext, sql: str) -> None:
    assert is_safe(session, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "cast(ref as int)",
        "lower(cast(cast(ref as int) as varchar))",
        "10 / k",
        "k % grp",
        "k % 0",
        "amount * amount",
        "to_date(sd)",
        "cast(k as smallint) + 1",
        "date_trunc('month', d)",  # by way of nanoseconds, which end in 2262
    ],
)
def test_what_may_fail_for_some_row_is_not(session: SessionContext, sql: str) -> None:
    assert not is_safe(session, sql)


def test_outer_casts_are_made_to_give_null(session: SessionContext) -> None:
    table = session.table("left_src")
    expr = table.parse_sql_expr("cast(cast(ref as int) as bigint)")

    found = tolerant(expr, table.logical_plan(), Reader(session))

    assert found.canonical_name() == "TRY_CAST(TRY_CAST(left_src.ref AS Int32) AS Int64)"
