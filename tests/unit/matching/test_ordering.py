from __future__ import annotations

import pytest

from tests.unit.matching.test_rebuild import optimised, rebuilt


def windows(sql: str) -> list[str]:
    return [line for line in optimised(rebuilt(sql)).splitlines() if "WindowAggr" in line]


@pytest.mark.parametrize(
    "call",
    [
        "row_number() over (order by name)",
        "ntile(2) over (order by name)",
        "lag(k) over (order by name)",
        "lead(k, 2, 0) over (order by name)",
        "lag(k) ignore nulls over (order by name)",
        "first_value(k) over (order by name)",
        "last_value(k) over (order by name rows between unbounded preceding and current row)",
        "nth_value(k, 2) over (order by name range between unbounded preceding "
        "and unbounded following)",
        "sum(k) over (order by name rows between 1 preceding and current row)",
        "count(distinct k) over (order by name rows between 1 preceding and current row)",
    ],
)
def test_a_function_that_minds_ties_gets_the_key_and_the_row_number(call: str) -> None:
    carried = rebuilt(f"select id, {call} from left_src")

    (line,) = windows(f"select id, {call} from left_src")
    assert "ORDER BY [left_src.name ASC NULLS LAST, " in line
    assert line.count("ASC NULLS LAST") >= 3
    assert carried.warnings == ()


@pytest.mark.parametrize(
    "call",
    [
        "rank() over (order by name)",
        "dense_rank() over (order by name)",
        "sum(k) over (order by name)",
        "sum(k) over (partition by name)",
        "max(k) over (order by name rows between unbounded preceding and unbounded following)",
    ],
)
def test_a_function_that_treats_equals_alike_stays_as_it_is(call: str) -> None:
    carried = rebuilt(f"select id, {call} from left_src")

    (line,) = windows(f"select id, {call} from left_src")
    assert "__kalla" not in line
    assert carried.warnings == ()


@pytest.mark.parametrize(
    "call",
    [
        "last_value(k) over (order by name)",
        "first_value(id) over (order by k range between 1 preceding and current row)",
        "sum(k) filter (where grp = 1) over (order by name rows between 1 preceding "
        "and current row)",
    ],
)
def test_where_ties_stay_chance_the_user_is_told(call: str) -> None:
    carried = rebuilt(f"select id, {call} from left_src")

    (warning,) = carried.warnings
    assert "chance" in warning


def test_nulls_stay_ignored() -> None:
    (line,) = windows("select lag(k) ignore nulls over (order by name) from left_src")

    assert "IGNORE NULLS" in line


def test_rows_of_a_group_are_told_apart_by_what_they_were_grouped_by() -> None:
    (line,) = windows(
        "select ref, row_number() over (order by count(*)) n from left_src group by ref"
    )

    order = line.split("ORDER BY [")[1]
    assert order.count("ASC NULLS LAST") == 2


def test_ties_in_the_order_of_an_aggregate_are_warned_of() -> None:
    carried = rebuilt(
        "select ref, array_agg(name order by d) n, max(k) m from left_src group by ref"
    )

    (warning,) = carried.warnings
    assert warning.startswith("array_agg(left_src.name) ORDER BY [left_src.d")


def test_picking_in_a_sub_query_is_reported_and_kept_in_one_piece() -> None:
    carried = rebuilt(
        "select id from left_src where k in (select k from right_src order by paid limit 3)"
    )

    assert carried.chance
    assert "sub-query" in carried.warnings[0]
