from __future__ import annotations

import pytest

from kalla_core.matching.row_ids.identity import source_columns
from kalla_core.matching.sql.query import Side
from tests.unit.matching.test_logical import plan

SIDES = {"left_src": Side.LEFT, "right_src": Side.RIGHT}
JOIN = "from left_src l join right_src r on l.k = r.k"


def told(sql: str, optimised: bool = True) -> list[str | None]:
    found = source_columns(plan(sql, optimised), SIDES)
    return [None if one is None else f"{one.side.word}.{one.name}" for one in found]


@pytest.mark.parametrize("optimised", [False, True])
def test_columns_that_pass_through_are_told_whatever_they_are_called(optimised: bool) -> None:
    sql = f"select r.id as a, l.id, t.b {JOIN} join (select id as b from left_src) t on t.b = l.id"

    assert told(sql, optimised) == ["right.id", "left.id", "left.id"]


def test_computed_columns_are_not() -> None:
    assert told(f"select l.id + 1, coalesce(l.id, r.id), sum(l.id) over () {JOIN}") == [None] * 3


def test_extras_are_no_sources() -> None:
    assert told("select k from fx") == [None]


def test_group_columns_pass_and_results_do_not() -> None:
    assert told(f"select l.id, count(*) {JOIN} group by l.id") == ["left.id", None]


def test_a_union_passes_what_all_branches_agree_on() -> None:
    sql = "select id, k from left_src union all select id, grp from left_src"

    assert told(sql) == ["left.id", None]


def test_distinct_on_passes_the_columns_of_the_row_it_keeps() -> None:
    sql = f"select distinct on (l.k) l.k, l.id, r.id as rid {JOIN} order by l.k, l.name"

    assert told(sql)[1:] == ["left.id", "right.id"]


def test_unnest_passes_what_it_does_not_unfold() -> None:
    assert told("select id, unnest(tags) from left_src") == ["left.id", None]


def test_a_lateral_join_passes_both_sides() -> None:
    sql = (
        "select l.id, x.id as xid from left_src l, "
        "lateral (select r.id from right_src r where r.k = l.k) x"
    )

    assert told(sql) == ["left.id", "right.id"]


def test_a_semi_join_passes_one_side() -> None:
    assert told("select l.id from left_src l left semi join right_src r on l.k = r.k") == [
        "left.id"
    ]
