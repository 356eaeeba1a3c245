from __future__ import annotations

import pyarrow as pa
import pytest
from datafusion import SessionContext

from kalla_core.errors import EngineFailure
from kalla_core.matching.plans.expressions import column_refs
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.row_ids.carried import CannotCarry, Carried
from kalla_core.matching.row_ids.origins import HIDDEN, Collected, RowId
from kalla_core.matching.row_ids.rebuild import Rebuilder
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_shapes
from tests.unit.matching.nasty import query

SIDES = {"left_src": Side.LEFT, "inv": Side.LEFT, "right_src": Side.RIGHT, "pay": Side.RIGHT}
KEYS = dict.fromkeys(Side, ("id",))
JOIN = "from left_src l join right_src r on l.k = r.k"


def rebuilt(sql: str, numbered: bool = True) -> Carried:
    plain, with_rows = new_session(), new_session()
    register_shapes(plain, query(sql))
    register_shapes(with_rows, query(sql), numbered=numbered)
    return Rebuilder(with_rows, SIDES, KEYS).rebuild(plain.sql(sql).logical_plan())


def visible(carried: Carried) -> list[str]:
    names = [ref.to_variant().name() for ref in column_refs(carried.frame)]
    return [name for name in names if not name.startswith(HIDDEN)]


def optimised(carried: Carried) -> str:
    return carried.frame.optimized_logical_plan().display_indent()


def test_a_join_has_a_row_number_of_each_side() -> None:
    carried = rebuilt(f"select l.name {JOIN}")

    assert [type(origin) for origin in carried.origins] == [RowId, RowId]
    assert [origin.side for origin in carried.origins if isinstance(origin, RowId)] == list(Side)
    assert len({origin.column for origin in carried.origins}) == 2


def test_hidden_columns_stay_out_of_a_star() -> None:
    carried = rebuilt("select * from left_src l natural join (select k, paid from right_src) r")

    assert visible(carried).count("k") == 1
    assert visible(carried)[-1] == "paid"


def test_columns_of_one_name_keep_their_places() -> None:
    carried = rebuilt(f"select r.id, l.id, l.name {JOIN}")

    assert visible(carried) == ["id", "id", "name"]


def test_a_group_collects_what_was_beside_each_other() -> None:
    carried = rebuilt(f"select l.k, count(*) c {JOIN} group by l.k")

    (origin,) = carried.origins
    assert isinstance(origin, Collected)
    assert [member.sides for member in origin.members] == [{Side.LEFT}, {Side.RIGHT}]


def test_groups_that_depend_on_each_other_add_no_columns() -> None:
    inner = "select k, sum(paid) s from right_src group by k"

    carried = rebuilt(f"select k, max(s) m from ({inner}) t group by k")

    assert len(visible(carried)) == 2


def test_a_sum_beside_its_rows_is_not_collected_again() -> None:
    sums = "select ref, sum(paid) s from right_src group by ref"

    carried = rebuilt(
        f"select l.k, count(*) c {JOIN} join ({sums}) g on g.ref = r.ref group by l.k"
    )

    (origin,) = carried.origins
    assert isinstance(origin, Collected)
    assert all(isinstance(member, RowId) for member in origin.members)


def test_branches_of_a_union_share_columns() -> None:
    carried = rebuilt(f"select l.id {JOIN} union all select r.id {JOIN}")

    assert [origin.sides for origin in carried.origins] == [{Side.LEFT}, {Side.RIGHT}]


def test_a_branch_that_lacks_a_side_is_filled_up() -> None:
    carried = rebuilt(f"select l.id {JOIN} union all select id from left_src")

    assert [origin.sides for origin in carried.origins] == [{Side.LEFT}, {Side.RIGHT}]
    assert carried.meets


def test_rows_of_both_sides_below_each_other_never_meet() -> None:
    carried = rebuilt("select id from left_src union all select id from right_src")

    assert carried.sides == set(Side)
    assert not carried.meets


def test_a_semi_join_names_one_side_only() -> None:
    carried = rebuilt("select l.id from left_src l left semi join right_src r on l.k = r.k")

    assert carried.sides == {Side.LEFT}


def test_a_final_order_is_dropped() -> None:
    carried = rebuilt(f"select l.name {JOIN} order by l.name")

    assert "Sort" not in optimised(carried)


def test_an_order_below_a_limit_stays_and_ends_in_keys_and_row_numbers() -> None:
    carried = rebuilt("select name from left_src order by name limit 3")

    (line,) = (line for line in optimised(carried).splitlines() if "Sort:" in line)
    assert line.strip().startswith("Sort: left_src.name ASC NULLS LAST, ")
    assert line.count("ASC NULLS LAST") == 3
    assert "fetch=3" in line


def test_a_limit_without_order_takes_the_first_by_key_and_says_so() -> None:
    carried = rebuilt("select name from left_src limit 3")

    assert "Sort:" in optimised(carried)
    assert any("LIMIT without ORDER BY" in warning for warning in carried.warnings)


def test_ties_among_extras_are_broken_by_all_their_columns() -> None:
    carried = rebuilt(f"select l.id, x.rate {JOIN} join (select * from fx order by rate limit 1) x "
                      "on x.ccy = l.cur")  # fmt: skip

    (line,) = (line for line in optimised(carried).splitlines() if "Sort:" in line)
    assert all(f"fx.{name} ASC" in line for name in ("rate", "ccy", "k"))


def test_what_cannot_be_refined_in_an_extra_is_left_to_chance_and_said() -> None:
    latest = "select distinct on (ccy) ccy, rate from fx order by ccy, k"

    carried = rebuilt(f"select l.id, x.rate {JOIN} join ({latest}) x on x.ccy = l.cur")

    assert carried.chance
    assert any("DISTINCT ON" in warning for warning in carried.warnings)


@pytest.mark.parametrize(
    ("sql", "obstacle"),
    [
        ("select distinct on (k) k, id from left_src", "DISTINCT ON"),
        ("select id, unnest(tags) from left_src", "Unnest"),
        ("select l.id from left_src l, lateral (select 1 from right_src r where r.k = l.k)",
         "Subquery"),
        ("with recursive t as (select k, 1 n from left_src union all select k, n + 1 from t "
         "where n < 2) select k from t", "RecursiveQuery"),
    ],
)  # fmt: skip
def test_what_ids_cannot_pass_is_named(sql: str, obstacle: str) -> None:
    with pytest.raises(CannotCarry, match=obstacle):
        rebuilt(sql)


def test_tables_without_row_numbers_are_no_ground_to_stand_on() -> None:
    with pytest.raises(EngineFailure, match="left_src has no row numbers"):
        rebuilt(f"select l.id {JOIN}", numbered=False)


def test_column_names_mean_what_they_are() -> None:
    table = pa.table({'We"ird.Na me': [1, 2], "__kalla_row": pa.array([0, 1], pa.uint64())})
    plain, numbered = SessionContext(), SessionContext()
    plain.register_record_batches("left_src", [table.drop_columns("__kalla_row").to_batches()])
    numbered.register_record_batches("left_src", [table.to_batches()])
    frame = plain.sql('select distinct "A.b"."We""ird.Na me" from left_src "A.b"')

    carried = Rebuilder(numbered, SIDES, dict.fromkeys(Side, ('We"ird.Na me',))).rebuild(
        frame.logical_plan()
    )

    assert sorted(carried.frame.to_arrow_table().column(0).to_pylist()) == [1, 2]
