from __future__ import annotations

import pytest

from kalla_core.matching.sql.query import Side
from tests.unit.matching.nasty import numbered, tables
from tests.unit.matching.running import oracle_pairs, pairs_and_rows, planned

PAIR = "select l.id, r.id rid from left_src l join right_src r on"
BY_K, BY_REF, BY_GRP = f"{PAIR} l.k = r.k", f"{PAIR} l.ref = r.ref", f"{PAIR} l.grp = r.grp"


def keys_of(sql: str) -> dict[str, list[str]]:
    """Return, for each rule by its name, what must be equal."""
    return {
        rule.name: [f"{key.text(Side.LEFT)} = {key.text(Side.RIGHT)}" for key in rule.keys]
        for rule in planned(sql).rules
    }


def test_a_query_without_union_is_one_rule_without_a_name() -> None:
    assert keys_of(f"{BY_K} and l.ref = r.ref") == {"": ["k = k", "ref = ref"]}


@pytest.mark.parametrize("union", ["union", "union all"])
def test_branches_are_counted_through_unions_of_unions(union: str) -> None:
    nested = f"{BY_K} {union} (select * from ({BY_REF} {union} {BY_GRP}) u)"
    flat = f"{BY_K} {union} {BY_REF} {union} {BY_GRP}"

    assert keys_of(nested) == keys_of(flat) == {
        "Branch 1 of the UNION": ["k = k"],
        "Branch 2 of the UNION": ["ref = ref"],
        "Branch 3 of the UNION": ["grp = grp"],
    }  # fmt: skip


def test_of_several_unions_there_is_a_rule_for_each_choice() -> None:
    sql = (
        "select a.id, b.id rid from (select id, k from left_src union all select id, grp from "
        "left_src) a join (select id, k from right_src union select id, grp from right_src) b "
        "on a.k = b.k"
    )

    assert keys_of(sql) == {
        "Branch 1 of UNION 1 and branch 1 of UNION 2": ["k = k"],
        "Branch 1 of UNION 1 and branch 2 of UNION 2": ["k = grp"],
        "Branch 2 of UNION 1 and branch 1 of UNION 2": ["grp = k"],
        "Branch 2 of UNION 1 and branch 2 of UNION 2": ["grp = grp"],
    }


def test_rules_with_a_key_in_common_are_cut_by_it_and_ask_the_rest_as_conditions() -> None:
    plan = planned(f"{BY_K} and l.cur = r.cur union {BY_K} and l.ref = r.ref and l.grp < 3")

    assert [key.text(Side.LEFT) for key in plan.reason_keys] == ["k"]
    assert not plan.scattered
    conditions = [[one.text for one in rule.conditions] for rule in plan.rules]
    assert conditions == [["l.cur = r.cur"], ["l.ref = r.ref", "left_src.grp < 3"]]


def test_a_condition_above_a_union_is_asked_of_every_branch() -> None:
    plan = planned(f"select * from ({BY_K} union all {BY_REF}) where id > 3 and rid > id")

    assert plan.scattered
    conditions = [sorted(one.text for one in rule.conditions) for rule in plan.rules]
    assert conditions == [["left_src.id > 3", "r.id > l.id"]] * 2


@pytest.mark.parametrize("union", ["union all", "union"])
@pytest.mark.parametrize("empty", [1, 2])
def test_a_filter_means_the_columns_of_a_union_also_where_one_branch_has_no_rows(
    union: str, empty: int
) -> None:
    first, second = (f"{BY_K} and 1 = {empty}", f"{BY_REF} and {empty} = 2")
    sql = f"select id, rid from ({first} {union} {second}) u where rid > id"
    data = tables(1)
    sides = {Side.LEFT: numbered(data.left), Side.RIGHT: numbered(data.right)}

    lines = pairs_and_rows(planned(sql), sides, data.fx)

    found = sorted((int(left), int(right)) for *_, left, right in lines)
    assert found == oracle_pairs(sql, data) != []


@pytest.mark.parametrize(
    "other",
    [
        f"{BY_REF} and 1 = 2",
        "select id, null from left_src",
        "select null as id, id as rid from right_src",
    ],
)
def test_a_branch_that_cannot_give_a_pair_is_no_rule(other: str) -> None:
    assert keys_of(f"{BY_K} union all {other}") == {"": ["k = k"]}


def test_a_union_that_is_only_asked_whether_it_has_a_row_makes_no_rules() -> None:
    seen = "select 1 from (select k from right_src union all select grp from right_src) o"

    assert keys_of(f"{BY_K} where exists ({seen} where o.k = l.k)") == {"": ["k = k"]}


@pytest.mark.parametrize(
    "sql",
    [
        f"{PAIR} l.k = r.k and l.cur = 'EUR' or l.ref = r.ref",
        "select l.id, r.id rid from left_src l, right_src r "
        "where (l.k = r.k and l.cur = 'EUR' or l.ref = r.ref) and (l.grp = 1 or r.grp = 1)",
    ],
)
def test_alternatives_that_each_have_a_key_are_rules(sql: str) -> None:
    assert keys_of(sql) == {
        "Alternative 1 of the OR": ["k = k"],
        "Alternative 2 of the OR": ["ref = ref"],
    }
    assert "left_src.cur = 'EUR'" in [one.text for one in planned(sql).rules[0].conditions]


def test_branches_below_distinct_on_are_rules_that_choose() -> None:
    sql = f"select distinct on (id) id, rid from ({BY_K} union all {BY_REF}) u order by id, rid"

    assert keys_of(sql) == {
        "Branch 1 of the UNION": ["k = k"],
        "Branch 2 of the UNION": ["ref = ref"],
    }
    assert {(rule.beyond, rule.chooses) for rule in planned(sql).rules} == {
        (("DISTINCT ON",), True)
    }


def test_alternatives_within_a_branch_are_rules_where_the_branch_has_no_key() -> None:
    assert keys_of(f"{BY_K} or l.ref = r.ref union all {BY_GRP}") == {
        "Branch 1 of the UNION and alternative 1 of the OR": ["k = k"],
        "Branch 1 of the UNION and alternative 2 of the OR": ["ref = ref"],
        "Branch 2 of the UNION": ["grp = grp"],
    }


@pytest.mark.parametrize(
    "sql",
    [f"{BY_K} and (l.cur = r.cur or l.ref = r.ref)", f"{PAIR} l.amount < r.paid or l.grp = 2"],
)
def test_alternatives_beside_a_key_or_without_any_stay_one_condition(sql: str) -> None:
    (rule,) = planned(sql).rules

    assert (rule.name, len(rule.conditions)) == ("", 1)


def test_more_branches_than_can_be_judged_are_one_rule_of_what_all_have_in_common() -> None:
    branches = [f"{BY_K} and l.grp = {n}" for n in range(33)]

    (rule,) = planned(" union all ".join(branches)).rules

    assert [(key.text(Side.LEFT), key.text(Side.RIGHT)) for key in rule.keys] == [("k", "k")]
    assert rule.stands_for_many
    assert len(planned(" union all ".join(branches[:-1])).rules) == 32
