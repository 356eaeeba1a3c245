"""Which columns match SQL can read: never too few."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kalla_core.matching.sql.mentions import mentioned_columns
from kalla_core.matching.sql.query import TableShape

TABLE = TableShape(
    "invoices",
    pa.schema([(name, pa.string()) for name in ("id", "ref", "amount", "Due Date", "note")]),
    ("id",),
)
ALL = frozenset(TABLE.schema.names)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT l.ref FROM left_src l", {"id", "ref"}),
        (
            "SELECT REF, r.x FROM left_src l JOIN right_src r USING (amount)",
            {"id", "ref", "amount"},
        ),
        ('SELECT l."Due Date" FROM left_src l', {"id", "Due Date"}),
        ("SELECT l.due FROM left_src l -- note", {"id"}),
        ("SELECT 'note' FROM left_src l", {"id"}),
        ("SELECT count(*) FROM left_src l GROUP BY ref", {"id", "ref"}),
        ("SELECT l.amount * 2, 2 * (amount), (amount)*-1 FROM left_src l", {"id", "amount"}),
        ("SELECT amount*ref FROM left_src", {"id", "amount", "ref"}),
        (
            "SELECT DISTINCT ref FROM left_src WHERE id IS DISTINCT FROM amount",
            {"id", "ref", "amount"},
        ),
        ("WITH c AS (SELECT note AS n FROM left_src) SELECT n FROM c", {"id", "note"}),
    ],
)
def test_a_column_is_read_if_it_is_named(sql: str, expected: set[str]) -> None:
    columns = mentioned_columns(sql, TABLE)

    assert columns == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM left_src",
        "SELECT l.* FROM left_src l",
        "SELECT ref, * FROM left_src",
        "SELECT DISTINCT * FROM left_src",
        "SELECT DISTINCT ON (ref) * FROM left_src",
        "SELECT ALL * FROM left_src",
        "SELECT * EXCLUDE (note) FROM left_src",
        "SELECT l.ref FROM left_src l NATURAL JOIN right_src r",
        "SELECT (SELECT count(l.*)) FROM left_src l",
        "SELECT ref FROM (SELECT*FROM left_src)",
    ],
)
def test_a_wildcard_and_a_natural_join_stand_for_all_columns(sql: str) -> None:
    columns = mentioned_columns(sql, TABLE)

    assert columns == ALL
