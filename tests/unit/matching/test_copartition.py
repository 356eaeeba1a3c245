from __future__ import annotations

from functools import cache

import pytest

from kalla_core.matching.keys.copartition import ANY_SCAN, Check, NotExact, at_scan, bases
from kalla_core.matching.plans.lineage import Branches, Call, Column, Constant, Reader, Unseen
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.plans.trace import Traced, Tracer
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_shapes
from tests.unit.matching.nasty import query

SIDES = {"left_src": Side.LEFT, "right_src": Side.RIGHT}
K = {side: Column(side.value, ANY_SCAN, "k") for side in Side}
REF = {side: Column(side.value, ANY_SCAN, "ref") for side in Side}
JOIN = "from left_src l join right_src r on l.k = r.k"


@cache
def traced(sql: str) -> Traced:
    session = new_session()
    register_shapes(session, query(sql))
    plan = session.sql(sql).optimized_logical_plan()
    return Tracer(Reader(session), SIDES).trace(plan)


def check(
    sql: str, *components: dict[Side, Column], cut: frozenset[Side] = frozenset(Side)
) -> Check:
    keys = {side: tuple(c[side] for c in components) for side in Side} if components else {}
    tried = Check(keys, cut, SIDES)
    tried.run(traced(sql))
    return tried


def refusal(
    sql: str, *components: dict[Side, Column], cut: frozenset[Side] = frozenset(Side)
) -> str:
    with pytest.raises(NotExact) as refused:
        check(sql, *components, cut=cut)
    return str(refused.value)


def test_a_join_on_the_key_may_be_cut_with_its_nulls_anywhere() -> None:
    assert not check(f"select l.id {JOIN}", K).nulls_together


def test_a_join_on_another_column_may_not() -> None:
    assert "A join is not on the whole key" in refusal(f"select l.id {JOIN}", REF)


def test_a_key_must_be_in_every_join_with_all_its_components() -> None:
    assert "whole key" in refusal(f"select l.id {JOIN}", K, REF)
    assert not check(f"select l.id {JOIN} and l.ref = r.ref", K, REF).nulls_together


@pytest.mark.parametrize(
    "sql",
    [
        f"select l.k, count(*) {JOIN} group by l.k",
        f"select distinct l.k, r.cur {JOIN}",
        f"select rank() over (partition by r.k order by l.d) {JOIN}",
        "select l.id from left_src l join right_src r on l.k is not distinct from r.k",
        f"select l.k, l.ref {JOIN} except select k, ref from right_src",
    ],
)
def test_whatever_takes_nulls_for_equal_keeps_them_together(sql: str) -> None:
    assert check(sql, K).nulls_together


def test_groups_within_an_expression_of_the_key_stay_whole() -> None:
    finer = "select l.id from left_src l join (select lower(ref) q from right_src group by ref) g"
    lower = Call("ScalarFunction", "lower(\0)", (REF[Side.RIGHT],))
    key = {Side.LEFT: REF[Side.LEFT], Side.RIGHT: lower}

    assert check(f"{finer} on l.ref = g.q", key).nulls_together


def test_a_column_that_an_outer_join_may_have_nulled_is_not_the_key() -> None:
    nulled = "select r.k, count(*) from left_src l left join right_src r on l.k = r.k group by r.k"

    assert "GROUP BY" in refusal(nulled, K)


def test_but_another_join_on_it_still_finds_its_rows() -> None:
    sql = (
        "select l.id from left_src l left join right_src r on l.k = r.k "
        "left join right_src q on r.k = q.k"
    )

    assert not check(sql, K).nulls_together


def test_a_union_is_the_key_where_all_its_branches_are() -> None:
    branch = "select l.k, r.k as q from left_src l left join right_src r on l.k = r.k"
    united = f"({branch} union all {branch} and l.grp = 1) u"

    kept = check(f"select u.k, count(*) from {united} group by u.k", K)
    joined = check(f"select u.k from {united} left join right_src z on z.k = u.q", K)

    assert kept.nulls_together
    assert not joined.nulls_together
    assert "GROUP BY" in refusal(f"select u.q, count(*) from {united} group by u.q", K)


def test_a_side_in_every_piece_may_not_keep_rows_without_partner() -> None:
    sql = "select l.id from left_src l left join right_src r on l.amount < r.paid"

    assert check(sql, cut=frozenset((Side.LEFT,)))
    assert "LEFT JOIN keeps rows" in refusal(sql, cut=frozenset((Side.RIGHT,)))


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (f"select count(*) {JOIN}", "without GROUP BY"),
        (f"select l.id {JOIN} limit 3", "LIMIT"),
        (f"select l.id {JOIN} order by l.id limit 3", "ORDER BY with LIMIT"),
        (f"select l.id {JOIN} where l.k not in (select k from right_src)", "NOT IN"),
        (f"select l.id, (select max(k) from right_src) {JOIN}", "whole of a side"),
        (f"select l.id {JOIN} where random() < 2", "volatile"),
        (f"select l.k {JOIN} group by rollup(l.k)", "GROUPING SETS"),
        (f"select l.id {JOIN} right join fx x on x.k = l.k", "RIGHT JOIN keeps rows"),
        (f"select l.k {JOIN} union all select k from fx", "UNION"),
        ("select unnest(tags) from left_src l join right_src r on l.k = r.k", "Unnest"),
        ("select k from fx", "same rows"),
    ],
)
def test_what_needs_the_whole_says_so(sql: str, reason: str) -> None:
    assert reason in refusal(sql, K)


def test_a_scalar_of_an_extra_is_the_same_in_every_piece() -> None:
    assert check(f"select l.id, (select max(k) from fx) {JOIN}", K)


def test_the_base_of_a_symbol_is_the_one_table_it_comes_from() -> None:
    left = Column("left_src", 7, "k")
    right = Column("right_src", 8, "k")
    shifted = Call("BinaryExpr", "\0 + \0", (left, Constant("Int64(1)")))

    assert bases(shifted) == (("left_src", at_scan(shifted, ANY_SCAN)),)
    assert bases(Call("BinaryExpr", "\0 + \0", (left, right))) == ()
    assert bases(Call("BinaryExpr", "\0 + \0", (left, Unseen(3)))) == ()
    assert bases(Constant("Int64(1)")) == ()


def test_a_union_has_a_base_per_branch() -> None:
    parts = (Column("left_src", 7, "k"), Column("right_src", 8, "grp"))

    assert bases(Branches(1, 0, parts)) == (
        ("left_src", Column("left_src", ANY_SCAN, "k")),
        ("right_src", Column("right_src", ANY_SCAN, "grp")),
    )


def test_two_scans_of_one_table_are_different_rows() -> None:
    both = Call("BinaryExpr", "\0 + \0", (Column("left_src", 1, "k"), Column("left_src", 2, "k")))

    assert bases(both) == ()
