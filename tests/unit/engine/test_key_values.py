"""Keys that fail for rows which a filter leaves out, against each row evaluated by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from kalla_core.engine.failures import FailedOnValue
from kalla_core.engine.keys.key_values import key_values
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.sql.tables import register_table
from kalla_core.matching.strategy.planned import Planned, plan_match

SCHEMA = pa.schema(
    [("id", pa.int64()), ("n", pa.int64()), ("x", pa.float64()), ("t", pa.string()),
     ("ts", pa.timestamp("us"))]
)  # fmt: skip
ROWS = [
    {"n": 4, "x": 4.0, "t": "2026-05-12 10:00", "ts": datetime(2026, 5, 12)},
    {"n": 0, "x": -1.0, "t": "n/a", "ts": datetime(9999, 12, 31)},
    {"n": -1, "x": None, "t": "12/May/26", "ts": datetime(1, 1, 1)},
    {"n": 2**63 - 1, "x": 1e300, "t": "7", "ts": None},
    {"n": None, "x": 0.0, "t": "", "ts": datetime(2400, 1, 1)},
    {"n": 9, "x": 2.5, "t": None, "ts": datetime(2026, 12, 31)},
]
EXPRESSIONS = [
    "to_timestamp({0}.t, '%Y-%m-%d %H:%M')",
    "to_timestamp({0}.t, '%Y-%m-%d %H:%M', '%d/%b/%y %H:%M')",
    "to_date({0}.t, '%d/%b/%y')",
    "to_unixtime({0}.t)",
    "sqrt({0}.x)",
    "ln({0}.x)",
    "power({0}.n, 2)",
    "chr({0}.n)",
    "factorial({0}.n)",
    "repeat('a', {0}.n % 5)",
    "{0}.ts + interval '1 month'",
    "{0}.ts - interval '300 years'",
    "date_trunc('month', CAST({0}.ts AS TIMESTAMP(9)))",
    "CASE WHEN {0}.t LIKE '7%' THEN CAST({0}.t AS INT) ELSE 10 / {0}.n END",
    "coalesce({0}.n, CAST({0}.t AS BIGINT))",
    "{0}.n <> 0 AND 10 / {0}.n > 1",
    "upper(CAST(CAST({0}.t AS TIMESTAMP) AS VARCHAR))",
    "CAST({0}.t AS INT) + 1",
    "date_part('year', CAST({0}.t AS DATE))",
    "substr({0}.t, 1, CAST({0}.t AS INT))",
]


def planned(sql: str) -> Planned:
    left, right = (TableShape(alias, SCHEMA, ("id",)) for alias in "lr")
    return plan_match(MatchQuery(sql, left, right, (), datetime(2026, 1, 1, tzinfo=UTC)))


def rows(times: int = 1) -> pa.Table:
    found = [row | {"id": number} for number, row in enumerate(ROWS * times)]
    return pa.Table.from_pylist(found, schema=SCHEMA)


def alone(expression: str, row: pa.Table) -> object:
    """Return what DataFusion makes of an expression over one row, as text; None if it fails."""
    session = new_session()
    register_table(session, "r", row)
    try:
        found = session.sql(f"SELECT {expression.format('r')} AS v FROM r").to_arrow_table()
        return found.column(0).cast(pa.string())[0].as_py()
    except BaseException as error:  # DataFusion raises nothing narrower, and panics
        if type(error).__name__ not in ("Exception", "PanicException"):
            raise
        return None


WAYS = {
    "beside the filter": "JOIN r ON ({1}) = ({2}) WHERE r.n <> 77",
    "over a CTE": "JOIN (SELECT * FROM r WHERE n <> 77) r ON ({1}) = ({2})",
    "in a derived table": "JOIN (SELECT id, {2} AS v FROM r WHERE r.n <> 77) r ON ({1}) = r.v",
    "in a branch": "JOIN r ON ({1}) = ({2}) WHERE r.n <> 77 UNION ALL "
    "SELECT l.id, r.id FROM l JOIN r ON ({1}) = ({2}) AND l.n = r.n WHERE r.n = 77",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_key_below_a_filter_is_null_where_it_fails_alone_and_its_value_elsewhere(
    expression: str, way: str
) -> None:
    on = WAYS[way].format("", expression.format("l"), expression.format("r"))
    plan = planned(f"SELECT l.id AS a, r.id AS b FROM l {on}")
    table = rows()
    expected = [alone(expression, table.slice(row, 1)) for row in range(len(table))]

    found = key_values(plan.query, plan.reason_keys, Side.RIGHT, table.to_batches())

    assert found.column(0).cast(pa.string()).to_pylist() == expected
    assert None in expected


def test_rows_that_fail_among_many_are_found() -> None:
    expression = EXPRESSIONS[0]
    plan = planned(f"SELECT l.id FROM l JOIN r ON l.ts = {expression.format('r')} WHERE r.n <> 77")
    table = rows(900)

    found = key_values(plan.query, plan.reason_keys, Side.RIGHT, table.to_batches(1000))

    assert found.num_rows == len(table)
    assert found.column(0).is_valid().to_pylist() == [True, *[False] * 5] * 900


def test_a_key_that_no_filter_shields_fails_as_the_sql_does() -> None:
    on = "l.t = chr(r.n) AND l.n = 6 / r.n"
    plan = planned(f"SELECT l.id FROM l JOIN r ON {on}")
    shielded = planned(f"SELECT l.id FROM l JOIN (SELECT * FROM r WHERE n <> 77) r ON {on}")

    found = key_values(shielded.query, shielded.reason_keys, Side.RIGHT, rows().to_batches())

    assert found.num_rows == len(ROWS)
    with pytest.raises(FailedOnValue, match="ivide by zero"):
        key_values(plan.query, plan.reason_keys, Side.RIGHT, rows().slice(1, 1).to_batches())
