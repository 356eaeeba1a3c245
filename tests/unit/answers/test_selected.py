"""Columns of sources in what match SQL selects, and the sums of groups that they tell."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kalla_core.answers.selected import selected
from kalla_core.answers.why.fate import why
from kalla_core.matching.sql.query import Side
from tests.support.books import Books
from tests.support.command import write_csv
from tests.unit.answers.test_why import ran

L, R = Side.LEFT, Side.RIGHT
TABLES = {"left_src": L, "inv": L, "right_src": R, "pay": R}
COLUMNS = {L: ["id", "amount", "day"], R: ["id", "amount", "Paid on"]}
JOIN = "FROM inv i JOIN pay AS p ON i.id = p.id AND abs(i.amount - p.amount) < 1"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (f"SELECT i.amount AS invoiced, p.amount {JOIN}",
         {"invoiced": (L, "amount"), "amount": (R, "amount")}),
        ('SELECT DISTINCT inv.amount AS "A", "Paid on" FROM inv, pay',
         {"A": (L, "amount"), "Paid on": (R, "Paid on")}),
        ("SELECT left_src.day, amount FROM left_src JOIN right_src USING (id)",
         {"day": (L, "day")}),
        (f"SELECT abs(i.amount) AS amount, (SELECT max(id) FROM pay) AS m, p.amount AS x {JOIN}",
         {"x": (R, "amount")}),
        (f"SELECT i.amount AS a, p.amount AS a {JOIN}", {}),
        (f"SELECT i.amount AS a, p.* {JOIN}", {}),
        (f"WITH i AS (SELECT 1 AS amount) SELECT i.amount AS a {JOIN}", {}),
        (f"SELECT i.amount AS a {JOIN} UNION SELECT p.amount {JOIN}", {}),
        ("SELECT x.amount AS a FROM (SELECT 1 AS amount) x JOIN inv i ON true", {}),
        ("SELECT 'it''s", {}),
    ],
)  # fmt: skip
def test_what_plain_queries_select_is_told_and_of_others_nothing(
    sql: str, found: dict[str, Any]
) -> None:
    assert selected([sql], TABLES, COLUMNS) == found


def test_what_passes_select_otherwise_under_one_name_is_not_told() -> None:
    one = f"SELECT i.amount AS a, i.day AS d {JOIN}"
    other = f"SELECT p.amount AS a, i.day AS d {JOIN}"

    assert selected([one, other], TABLES, COLUMNS) == {"d": (L, "day")}


@pytest.mark.parametrize(
    ("columns", "totals"),
    [
        ("i.amount, p.amount", ("10.00", "10.50")),
        ("i.amount AS invoiced, p.amount AS paid", ("10.00", "10.50")),
        ("i.amount AS amount, p.amount AS paid", ("10.00", "10.50")),
        ("i.amount", ("10.00", None)),
        ("-i.amount AS amount, p.amount AS paid", (None, "10.50")),
    ],
)
def test_sums_of_a_group_are_told_where_both_sides_call_their_amounts_alike(
    tmp_path: Path, columns: str, totals: tuple[str | None, str | None]
) -> None:
    write_csv(tmp_path / "i.csv", "id,ref,amount", ["1,C,7.00", "2,C,3.00", "3,D,1.00"])
    write_csv(tmp_path / "p.csv", "id,ref,amount", ["9,C,10.50", "8,D,2.00"])
    sources = {
        side: {"alias": name, "type": "file", "uri": f"{name}.csv", "primary_key": ["id"]}
        for side, name in (("left", "i"), ("right", "p"))
    }
    rule = {
        "name": "groups",
        "match_sql": f"SELECT {columns} FROM i JOIN p ON i.ref = p.ref",
        "group_by": "component",
        "balance": {"left": "amount", "right": "amount", "tolerance": "0.50"},
    }
    recipe = {"recipe_id": "r", "name": "r", "passes": [rule], "sources": sources}

    with ran(Books(tmp_path, recipe)) as opened:
        (fate,) = why(opened, ["1"]).fates

    (group,) = fate.groups
    expected = tuple(None if one is None else Decimal(one) for one in totals)
    assert (group.left_total, group.right_total) == expected
