"""Which orders leave equal rows to chance, and which tell all rows apart."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.strategy.planned import plan_match

LEFT = pa.schema({"id": pa.int64(), "k": pa.int64(), "name": pa.string(), "d": pa.date32()})
RIGHT = pa.schema(
    {"doc": pa.string(), "line": pa.int64(), "k": pa.int64(), "ref": pa.int64(), "paid": pa.int64()}
)
RATES = pa.schema({"cur": pa.string(), "rate": pa.float64()})
JOINED = "SELECT l.id, r.doc, r.line FROM l JOIN r ON l.k = r.k"
PICKED = "SELECT id, doc, line FROM ({inner}) t WHERE n = 1"


def warned(sql: str, of: str = "chance") -> list[str]:
    query = MatchQuery(
        sql,
        TableShape("l", LEFT, ("id",)),
        TableShape("r", RIGHT, ("doc", "line")),
        (TableShape("rates", RATES),),
        datetime(2026, 3, 1, tzinfo=UTC),
    )
    return [line for line in plan_match(query).warnings if of in line]


def windowed(call: str, source: str = "l JOIN r ON l.k = r.k") -> str:
    return f"SELECT l.id, r.doc, r.line, {call} AS n FROM {source}"


LAST = "last_value(r.paid) OVER (PARTITION BY l.k ORDER BY {})"
ONE_OF_RIGHT = f"{JOINED} AND r.paid = (SELECT paid FROM r ORDER BY {{}} LIMIT 1)"
IN_RIGHT = f"{JOINED} WHERE r.paid IN (SELECT paid FROM r ORDER BY {{}} LIMIT 3)"
NUMBERED = (
    f"{JOINED} WHERE l.k = (SELECT max(k) FROM (SELECT k, row_number() OVER (PARTITION BY k "
    "ORDER BY {}) AS n FROM r) t WHERE n = 1)"
)
LIST = "SELECT l.id, r.doc, r.line, x.names FROM l JOIN r ON l.k = r.k JOIN (SELECT k, {} AS names "
LIST += "FROM r GROUP BY k) x ON x.k = l.k"
ON = "SELECT DISTINCT ON (l.id) l.id, r.doc, r.line FROM l JOIN r ON l.k = r.k ORDER BY {}"

TOLD_APART = [
    windowed(LAST.format("r.paid, l.id, r.doc, r.line")),
    windowed(LAST.format("r.line DESC, l.id, r.doc")),
    windowed(LAST.format("l.d, r.paid")),
    windowed(LAST.format("l.d, r.doc, r.line"), "l JOIN r ON l.id = r.ref"),
    windowed("last_value(l.d) OVER (PARTITION BY l.id ORDER BY r.doc, r.line)"),
    windowed("last_value(r.paid) OVER (PARTITION BY r.doc ORDER BY r.line)", "r JOIN l ON true "
             "WHERE l.id = r.ref"),
    windowed(LAST.format("l.name, r.doc, r.line"), "r LEFT JOIN l ON l.id = r.ref"),
    windowed("sum(r.paid) FILTER (WHERE r.k > 1) OVER (ORDER BY l.id, r.line, r.doc ROWS 1 "
             "PRECEDING)"),
    ONE_OF_RIGHT.format("k, line, doc"),
    ONE_OF_RIGHT.format("paid DESC"),
    IN_RIGHT.format("k, doc, line"),
    IN_RIGHT.format("paid"),
    NUMBERED.format("paid, doc, line"),
    f"WITH w AS (SELECT paid, doc AS d, line AS n FROM r WHERE k > 1) {JOINED} "
    "AND r.paid = (SELECT paid FROM w ORDER BY paid, n, d LIMIT 1)",
    f"{JOINED} AND r.paid = (SELECT a.paid FROM r a JOIN l b ON b.id = a.ref "
    "ORDER BY b.d, a.doc, a.line LIMIT 1)",
    LIST.format("array_agg(paid ORDER BY line, doc)"),
    LIST.format("array_agg(paid ORDER BY paid DESC)"),
    LIST.format("first_value(paid ORDER BY ref, doc, line)"),
    LIST.format("string_agg(doc, ',' ORDER BY doc)"),
    ON.format("l.id, r.paid, r.doc, r.line"),
    ON.format("l.id, r.line, r.doc"),
]  # fmt: skip

LEFT_TO_CHANCE = [
    windowed("last_value(l.d) OVER (PARTITION BY l.k ORDER BY l.name, r.doc, r.line)"),
    windowed(LAST.format("l.d, r.doc"), "l JOIN r ON l.id = r.ref"),
    windowed(LAST.format("l.id, r.line")),
    windowed("last_value(l.d) OVER (ORDER BY r.line, r.doc)", "r FULL JOIN l ON l.id = r.ref"),
    windowed("last_value(l.d) OVER (ORDER BY r.line, r.doc)", "r RIGHT JOIN l ON l.id = r.ref"),
    windowed("last_value(r.paid) OVER (ORDER BY l.id, l.d)", "l LEFT JOIN r ON l.id = r.ref"),
    windowed("sum(r.paid) FILTER (WHERE r.k > 1) OVER (ORDER BY l.id, r.paid ROWS 1 PRECEDING)"),
    ONE_OF_RIGHT.format("k, doc"),
    ONE_OF_RIGHT.format("paid + line, doc"),
    IN_RIGHT.format("k, line"),
    NUMBERED.format("paid, doc"),
    f"{JOINED} AND r.paid = (SELECT b.id FROM r a JOIN l b ON b.k = a.ref "
    "ORDER BY b.d, a.doc, a.line LIMIT 1)",
    f"{JOINED} AND l.k > (SELECT CAST(rate AS BIGINT) FROM rates ORDER BY cur LIMIT 1)",
    LIST.format("array_agg(paid ORDER BY line)"),
    LIST.format("array_agg(paid ORDER BY paid / 10)"),
    LIST.format("first_value(paid ORDER BY ref, doc)"),
    ON.format("l.id, r.paid"),
    ON.format("l.id, r.line"),
]


@pytest.mark.parametrize("sql", TOLD_APART)
def test_an_order_that_ends_in_the_key_leaves_nothing_to_chance(sql: str) -> None:
    assert warned(sql) == []


@pytest.mark.parametrize("sql", LEFT_TO_CHANCE)
def test_an_order_in_which_rows_can_be_equal_is_warned_of(sql: str) -> None:
    assert warned(sql) != []


@pytest.mark.parametrize(
    ("cut", "count"),
    [("LIMIT NULL", 0), ("OFFSET 0", 0), ("LIMIT NULL OFFSET NULL", 0), ("LIMIT 0", 0),
     ("LIMIT 1", 1), ("OFFSET 1", 1), ("LIMIT NULL OFFSET 1", 1)],
)  # fmt: skip
def test_a_limit_that_leaves_out_no_row_takes_none_by_key(cut: str, count: int) -> None:
    inner = JOINED.replace("JOIN r", f"JOIN (SELECT * FROM r {cut}) r")

    assert len(warned(f"{JOINED} {cut}", "takes the first rows")) == count
    assert len(warned(inner, "takes the first rows")) == count
