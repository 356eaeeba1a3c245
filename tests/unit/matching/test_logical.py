from __future__ import annotations

import pytest
from datafusion import LogicalPlan

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.logical import JoinKind, Operator, read
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.tables import register_shapes
from tests.unit.matching.nasty import query


def plan(sql: str, optimised: bool = False) -> LogicalPlan:
    session = new_session()
    register_shapes(session, query(sql))
    frame = session.sql(sql)
    return frame.optimized_logical_plan() if optimised else frame.logical_plan()


def operators(sql: str, optimised: bool = False) -> list[Operator]:
    """Return all operators of a plan, topmost first."""
    found, waiting = [], [plan(sql, optimised)]
    while waiting:
        node = read(waiting.pop())
        found.append(node)
        waiting += reversed(node.inputs)
    return found


def the(kind: type[Operator], sql: str, optimised: bool = False) -> Operator:
    (node,) = (node for node in operators(sql, optimised) if isinstance(node, kind))
    return node


def test_a_scan_knows_its_columns_by_their_own_names() -> None:
    node = the(lp.Scan, "select k, name from left_src", optimised=True)

    assert isinstance(node, lp.Scan)
    assert (node.table, node.columns, node.fetch) == ("left_src", ("k", "name"), None)
    assert node.fields == ("left_src.k", "left_src.name")


@pytest.mark.parametrize(
    ("join", "kind"),
    [
        ("join", JoinKind.INNER),
        ("left join", JoinKind.LEFT),
        ("right join", JoinKind.RIGHT),
        ("full join", JoinKind.FULL),
        ("left semi join", JoinKind.LEFT_SEMI),
        ("left anti join", JoinKind.LEFT_ANTI),
        ("right semi join", JoinKind.RIGHT_SEMI),
        ("right anti join", JoinKind.RIGHT_ANTI),
    ],
)
def test_every_kind_of_join_is_known(join: str, kind: JoinKind) -> None:
    node = the(lp.Joined, f"select 1 from left_src l {join} right_src r on l.k = r.k")

    assert isinstance(node, lp.Joined)
    assert node.kind is kind


def test_the_optimised_join_has_its_equalities_apart() -> None:
    sql = "select l.id from left_src l join right_src r on l.k = r.k and l.amount < r.paid"

    node = the(lp.Joined, sql, optimised=True)

    assert isinstance(node, lp.Joined)
    ((left, right),) = node.on
    assert (left.canonical_name(), right.canonical_name()) == ("CAST(l.k AS Int64)", "r.k")
    assert node.filter is not None
    assert not node.nulls_equal


def test_joins_that_take_nulls_for_equal_are_told_apart() -> None:
    node = the(lp.Joined, "select k from left_src except select k from right_src")

    assert isinstance(node, lp.Joined)
    assert node.nulls_equal
    assert not node.null_aware


def test_not_in_is_an_anti_join_that_minds_nulls() -> None:
    sql = "select id from left_src where k not in (select k from right_src)"

    node = the(lp.Joined, sql, optimised=True)

    assert isinstance(node, lp.Joined)
    assert node.kind is JoinKind.LEFT_ANTI
    assert node.null_aware


def test_a_window_function_is_taken_apart() -> None:
    sql = "select row_number() over (partition by k order by d desc) as n from left_src"

    node = the(lp.Windowed, sql)

    assert isinstance(node, lp.Windowed)
    (function,) = node.functions
    assert function.name == "row_number"
    assert [expr.canonical_name() for expr in function.partition_by] == ["left_src.k"]
    (key,) = function.order_by
    assert (key.ascending(), key.nulls_first()) == (False, True)


def test_limits_are_numbers() -> None:
    node = the(lp.Limited, "select k from left_src limit 5 offset 3")

    assert isinstance(node, lp.Limited)
    assert (node.skip, node.fetch) == (3, 5)


def test_an_offset_alone_has_no_limit() -> None:
    node = the(lp.Limited, "select k from left_src offset 3")

    assert isinstance(node, lp.Limited)
    assert (node.skip, node.fetch) == (3, None)


def test_distinct_and_distinct_on_are_told_apart() -> None:
    plain = operators("select distinct k from left_src")
    first_of_each = operators("select distinct on (k) k, id from left_src")

    assert isinstance(plain[0], lp.Deduplicated)
    assert isinstance(first_of_each[0], lp.Unknown)
    assert first_of_each[0].name == "DISTINCT ON"


@pytest.mark.parametrize(
    ("sql", "rows"),
    [("select 1", 1), ("select * from (values (1), (2)) v(a)", 2)],
)
def test_rows_of_no_table_are_counted(sql: str, rows: int) -> None:
    node = the(lp.Constant, sql)

    assert isinstance(node, lp.Constant)
    assert node.rows == rows


def test_a_condition_that_is_never_true_leaves_no_rows() -> None:
    node = the(lp.Constant, "select k from left_src where 1 = 0", optimised=True)

    assert isinstance(node, lp.Constant)
    assert node.rows == 0


def test_what_is_not_known_says_its_name() -> None:
    nodes = operators("select unnest(tags) from left_src")

    assert [node.name for node in nodes if isinstance(node, lp.Unknown)] == ["Unnest"]
