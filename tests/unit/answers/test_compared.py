"""Which columns a match SQL compares, told from its text."""

from __future__ import annotations

import pytest

from kalla_core.answers.compared import compared
from kalla_core.matching.sql.query import Side

TABLES = {"invoices": Side.LEFT, "left_src": Side.LEFT, "payments": Side.RIGHT}
COLUMNS = {Side.LEFT: ["id", "ref", "amount", "booked"], Side.RIGHT: ["id", "reference", "paid"]}
BOTH = "SELECT i.id, p.paid FROM invoices i JOIN payments AS p ON "


@pytest.mark.parametrize(
    ("sql", "pairs"),
    [
        (f"{BOTH}i.ref = p.reference", [("ref", "reference")]),
        (f'{BOTH}lower(p."reference") = lower(i.ref)', [("ref", "reference")]),
        (
            f"{BOTH}left(i.ref, 3) = p.reference AND tolerance_match(i.amount, p.paid, 0.02)",
            [("ref", "reference"), ("amount", "paid")],
        ),
        (f"{BOTH}abs(i.amount - p.paid) <= 1 WHERE ref = reference AND i.booked IS NOT NULL",
         [("amount", "paid"), ("ref", "reference")]),
        (f"{BOTH}i.id = p.id ORDER BY i.amount, p.paid", [("id", "id")]),
        (f"{BOTH}i.amount + i.booked = p.paid", []),
        (f"{BOTH}id = paid", []),
        ("SELECT 'not ended", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_condition_that_reads_one_column_of_each_side_compares_them(
    sql: str, pairs: list[tuple[str, str]]
) -> None:
    assert list(compared([sql, sql], TABLES, COLUMNS)) == pairs
