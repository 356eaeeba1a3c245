from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql, SidesNotIdentified
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.tables import register_tables
from kalla_core.matching.strategy.planned import (
    Identification,
    Strategy,
    condition_frame,
    pair_frame,
    plan_match,
)
from tests.unit.matching.nasty import numbered, query, tables
from tests.unit.matching.running import pairs_and_rows, planned

JOIN = "from left_src l join right_src r on l.k = r.k"


def test_the_output_is_the_users_columns_with_their_types() -> None:
    plan = planned(f"select l.id, r.id, l.amount - r.paid as diff, 'x' as tag {JOIN}")

    assert plan.output.names == ["id", "id", "diff", "tag"]
    assert plan.output.types == [pa.int64(), pa.int64(), pa.decimal128(15, 3), pa.string()]


def test_the_output_has_the_types_of_the_run_not_of_the_text() -> None:
    plan = planned(f"select l.k {JOIN} union all select r.k {JOIN}")

    assert plan.output.types == [pa.int64()]


def test_frames_have_the_users_columns_first_then_one_per_origin() -> None:
    plan, data = planned(f"select r.name, l.name {JOIN}"), tables(seed=2)
    plain, with_rows = new_session(), new_session()
    for session, change in ((plain, lambda t: t), (with_rows, numbered)):
        left, right = change(data.left), change(data.right)
        fx = {"fx": data.fx.to_batches()}
        register_tables(session, plan.query, left.to_batches(), right.to_batches(), fx)

    frame = pair_frame(plan, plain, with_rows)

    schema = frame.frame.to_arrow_table().schema
    assert schema.names[: frame.columns] == ["name", "name"]
    assert schema.types[frame.columns :] == [origin.arrow_type for origin in frame.origins]


@pytest.mark.parametrize(
    ("sql", "only_joins"),
    [
        (f"select l.id, r.id {JOIN} and l.amount = r.paid where l.cur <> 'x'", True),
        (f"select l.id, fx.rate {JOIN} join fx on fx.k = l.k", True),
        (f"select l.id, r.id {JOIN} order by l.amount", True),
        (f"select l.id, r.id {JOIN} order by l.amount limit 3", False),
        (f"select distinct l.id, r.id {JOIN}", False),
        (f"select l.id, r.id, row_number() over (order by l.id) {JOIN}", False),
        (f"select l.id, r.id {JOIN} union all select l.id, r.id {JOIN}", False),
        (f"select l.id, r.id {JOIN} where l.amount > (select max(paid) from right_src)", False),
        ("select l.id, r.s from left_src l join (select k, sum(paid) s from right_src group by k) r"
         " on l.k = r.k", False),
    ],
)  # fmt: skip
def test_what_only_joins_has_no_operator_that_spills(sql: str, only_joins: bool) -> None:
    plan, data = planned(sql), tables(seed=2)
    plain, with_rows = new_session(), new_session()
    for session, change in ((plain, lambda t: t), (with_rows, numbered)):
        left, right = change(data.left), change(data.right)
        fx = {"fx": data.fx.to_batches()}
        register_tables(session, plan.query, left.to_batches(), right.to_batches(), fx)

    physical = pair_frame(plan, plain, with_rows).frame.execution_plan().display_indent()

    assert plan.only_joins is only_joins
    if only_joins:
        operators = {line.split()[0].rstrip(":") for line in physical.splitlines()}
        assert {one for one in operators if one.startswith(("Sort", "Agg", "Window"))} == set()


def test_a_plan_says_how_it_is_cut_and_why() -> None:
    plan = planned(f"select l.id {JOIN} and l.cur = r.cur")

    assert plan.strategy is Strategy.COPARTITION
    assert plan.why == (
        "Rows can only meet where k = k and cur = cur, so both sides are cut into buckets by it.",
    )
    assert "Inner Join: CAST(l.k AS Int64) = r.k, l.cur = r.cur" in plan.plan_text


def test_nulls_that_count_as_equal_are_said_to_lie_together() -> None:
    plan = planned(f"select l.k, count(*) {JOIN} group by l.k")

    assert plan.nulls_together
    assert "one bucket" in plan.why[1]


def test_a_broadcast_says_what_stands_in_the_way_of_a_key() -> None:
    plan = planned("select l.id from left_src l left join right_src r on l.amount < r.paid")

    assert plan.strategy is Strategy.BROADCAST
    assert plan.replicable == {Side.RIGHT}
    assert "No equality" in plan.why[0]
    assert "right_src can be copied" in plan.why[1]


def test_a_plan_in_one_piece_says_what_holds_it_together() -> None:
    plan = planned(f"select l.cur, count(*) {JOIN} group by l.cur")

    assert plan.strategy is Strategy.SINGLE
    assert plan.replicable == frozenset()
    assert "GROUP BY or DISTINCT looks at rows of several keys together." in plan.why[0]


def test_row_numbers_identify_rows_where_they_can_travel() -> None:
    assert planned(f"select l.name {JOIN}").identification is Identification.ROW_IDS


def test_primary_keys_take_their_place_where_they_cannot() -> None:
    data = tables(seed=2)
    sides = {Side.LEFT: numbered(data.left, 100), Side.RIGHT: numbered(data.right, 500)}
    plan = planned(
        "select t.id, r.id rid from (select id, k, unnest(tags) u from left_src) t "
        "join right_src r on t.k = r.k"
    )

    found = pairs_and_rows(plan, sides, data.fx)

    assert plan.identification is Identification.PRIMARY_KEYS
    assert any("primary keys, which must be unique" in warning for warning in plan.warnings)
    ids = {
        side: dict(zip(table.column("id").to_pylist(), table.column(ROW).to_pylist(), strict=True))
        for side, table in sides.items()
    }
    assert found
    for left, right, left_row, right_row in found:
        assert ids[Side.LEFT][int(left)] == int(left_row)
        assert ids[Side.RIGHT][int(right)] == int(right_row)


def test_a_primary_key_that_is_missing_is_asked_for_by_name() -> None:
    sql = (
        "select t.id, r.name from (select id, k, unnest(tags) u from left_src) t "
        "join right_src r on t.k = r.k"
    )

    with pytest.raises(SidesNotIdentified, match=r"select id of pay \(right_src\)") as refusal:
        planned(sql)

    assert refusal.value.details == {"side": "right", "columns": ("id",)}


def test_a_computed_primary_key_is_none() -> None:
    with pytest.raises(SidesNotIdentified, match="select id of inv"):
        planned(
            "select t.id + 1 as id, r.id rid from (select id, k, unnest(tags) u from left_src) t "
            "join right_src r on t.k = r.k"
        )


def test_a_side_that_is_only_tested_is_to_be_joined() -> None:
    with pytest.raises(SidesNotIdentified, match="join right_src") as refusal:
        planned("select l.id from left_src l where l.k in (select k from right_src)")

    assert refusal.value.details["side"] == "right"


def test_sides_put_below_each_other_are_to_be_joined() -> None:
    with pytest.raises(SidesNotIdentified, match="about a row of both sides"):
        planned("select id from left_src union all select id from right_src")


def test_sql_that_does_not_plan_is_refused() -> None:
    with pytest.raises(InvalidSql):
        planned("select l.id from left_src l join right_src r on l.k =")


def test_there_is_no_frame_without_conditions() -> None:
    plan = planned(f"select l.id {JOIN}")

    with pytest.raises(ValueError, match="no conditions"):
        condition_frame(plan, plan.rules[0], new_session())


def test_distinct_on_with_ties_is_warned_of() -> None:
    plan = planned(f"select distinct on (l.k) l.k, l.id, r.id rid {JOIN} order by l.k, l.name")

    assert any("DISTINCT ON" in warning and "chance" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("order", "warned"),
    [("limit 1", True), ("order by k limit 1", True), ("limit all", False), ("", False)],
)
def test_a_limit_that_may_cut_ties_is_warned_of_where_primary_keys_tell_rows_apart(
    order: str, warned: bool
) -> None:
    pairs = f"select distinct on (l.id, r.id) l.k, l.id, r.id as rid {JOIN} order by l.id, r.id"

    plan = planned(f"select k, id, rid from ({pairs}) x {order}")

    assert any("LIMIT" in warning and "chance" in warning for warning in plan.warnings) == warned


@pytest.mark.parametrize(
    ("sql", "keys"),
    [
        (f"select l.name, r.id, l.id {JOIN}", {Side.LEFT: (2,), Side.RIGHT: (1,)}),
        (f"select l.id, r.name {JOIN}", {Side.LEFT: (0,)}),
        (f"select l.id + 0 as id, cast(r.id as varchar) as x {JOIN}", {}),
        (f"select z.id, r.id {JOIN} join left_src z on z.k = l.k", {}),
        (f"select distinct l.id, r.id {JOIN}", {}),
    ],
)
def test_primary_keys_are_found_in_the_output_only_where_they_are_those_of_its_rows(
    sql: str, keys: dict[Side, tuple[int, ...]]
) -> None:
    assert planned(sql).output_keys == keys


@pytest.mark.parametrize(
    ("sql", "same"), [(f"select l.id {JOIN}", True), (f"select now() as n, l.id {JOIN}", False)]
)
def test_a_plan_is_remembered_for_later_runs_unless_it_asks_for_the_time(
    sql: str, same: bool
) -> None:
    first = query(sql)
    later = replace(first, started_at=first.started_at + timedelta(days=1))

    plans = [plan_match(first), plan_match(later)]

    assert [plan.query for plan in plans] == [first, later]
    assert (plans[0].prepared is plans[1].prepared) is same
    assert (plans[0].prepared.text == plans[1].prepared.text) is same


def test_a_plan_is_not_remembered_for_other_columns() -> None:
    first = query(f"select l.* {JOIN}")
    text = first.left.schema.field("id").with_type(pa.string())
    other = replace(first, left=replace(first.left, schema=first.left.schema.set(0, text)))

    assert plan_match(first).output.types != plan_match(other).output.types
