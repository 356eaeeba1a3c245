from __future__ import annotations

import re
from decimal import Decimal
from itertools import product

import pyarrow as pa
import pytest
from datafusion import SessionContext

from kalla_core.matching.plans.lineage import Reader
from kalla_core.matching.plans.logical import as_expr
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.plans.totality import guarded, never_fails, tolerant
from kalla_core.matching.sql.tables import register_shapes, register_table
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
        "cast(k as varchar)",
        "k % 7",
        "try_cast(ref as int) * 2",
        "coalesce(k, -1)",
        "ref in ('a', 'b') or ref like 'x%'",
        "date_trunc('month', at)",
        "cast(k as bigint) + 1",
        "amount * 100",
        "round(amount, 1) - trunc(amount)",
        "ceil(rate) / k",
        "cast(cast(amount as decimal(14, 1)) as bigint)",
        "sha256(ref) = sha256(name)",
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
        "cast(amount as decimal(30, 2)) * amount",
        "ceil(amount)",
        "cast(cast(amount as decimal(30, 2)) as bigint)",
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


NASTY = {
    "n": pa.array([0, 1, -1, 7, -(2**63), 2**63 - 1, None], pa.int64()),
    "m": pa.array([-1, 0, 2, None], pa.int64()),
    "d": pa.array([Decimal(x) for x in ("0", "-0.01", "9999999999.99", "-9999999999.99", "1.5")]
                  + [None], pa.decimal128(12, 2)),
    "w": pa.array([Decimal(x) for x in ("9" * 36 + ".99", "5" * 36, "1.01", "0.00")],
                  pa.decimal128(38, 2)),
    "t": pa.array(["7", "x", "", "31.02.2026", "28.02.2026", "20260228", "1. 2.26", None]),
    "day": pa.array([0, 20_000, 2**31 - 1, None], pa.date32()),
}  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "n / m",
        "n % m",
        "10 / m + 5 / n",
        "d / m",
        "d / d",
        "d % m",
        "ceil(d)",
        "floor(d)",
        "w * 100",
        "w + w",
        "w * w",
        "cast(d * 10 as int)",
        "cast(t as int) % cast(m as int)",
        "to_date(t)",
        "to_date(t, '%d.%m.%Y')",
        "to_date(t, '%Y%m%d', '%d.%m.%Y')",
        "extract(day from to_date(t, '%d.%m.%Y')) / m",
        "day + interval '1 month'",
    ],
)
def test_a_guarded_expression_is_null_where_the_sql_fails_and_nowhere_else(sql: str) -> None:
    read = [name for name in NASTY if re.search(rf"\b{name}\b", sql.partition("from ")[2] or sql)]
    table = every_row({name: NASTY[name] for name in read})
    expected = [alone(sql, table.slice(row, 1)) for row in range(len(table))]

    found = guarded_over(sql, table)

    assert found == expected
    assert None in found
    assert any(value is not None for value in found)


def every_row(columns: dict[str, pa.Array]) -> pa.Table:
    """Return each choice of a value of each column."""
    chosen = zip(*product(*(range(len(column)) for column in columns.values())), strict=True)
    return pa.table({name: columns[name].take(list(rows))
                     for name, rows in zip(columns, chosen, strict=True)})  # fmt: skip


def alone(sql: str, row: pa.Table) -> object:
    """Return what DataFusion makes of an expression over one row, as text; None if it fails."""
    session = new_session()
    register_table(session, "t", row)
    try:
        result = session.sql(f"SELECT CAST({sql} AS VARCHAR) FROM t").to_arrow_table()
    except Exception:  # DataFusion raises nothing narrower
        return None
    return result.column(0)[0].as_py()


def guarded_over(sql: str, table: pa.Table) -> list[object]:
    session = new_session()
    register_table(session, "t", table)
    frame = session.table("t")
    plan = session.sql(f"SELECT {sql} FROM t").optimized_logical_plan()
    (expr,) = plan.to_variant().projections()
    safe = guarded(as_expr(expr), frame.logical_plan(), Reader(session))
    assert safe is not None
    return frame.select(safe.cast(pa.string())).to_arrow_table().column(0).to_pylist()
