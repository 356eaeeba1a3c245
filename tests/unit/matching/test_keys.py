from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import key_frame
from tests.unit.matching.nasty import LEFT, RIGHT, numbered
from tests.unit.matching.running import planned

JOIN = "select l.id from left_src l join right_src r on"
SCHEMAS = {Side.LEFT: LEFT, Side.RIGHT: RIGHT}


def keys_of(sql: str, side: Side, rows: list[dict[str, object]], row: bool = False) -> pa.Table:
    """Return the keys of these rows; columns not given are null."""
    names = SCHEMAS[side].names
    table = pa.Table.from_pylist([dict.fromkeys(names) | r for r in rows], schema=SCHEMAS[side])
    session = new_session()
    data = numbered(table, start=10) if row else table
    register_side(session, planned(sql).query, side, data.to_batches())
    return key_frame(planned(sql), session, side).to_arrow_table()


def test_a_key_has_the_type_both_sides_are_compared_in() -> None:
    found = keys_of(f"{JOIN} l.k = r.k", Side.LEFT, [{"k": 3}, {"k": None}, {"k": 1}])

    assert found.schema.types == [pa.int64()]
    assert found.column("__k0").to_pylist() == [3, None, 1]


def test_decimals_of_unlike_scales_get_the_scale_of_both() -> None:
    found = keys_of(f"{JOIN} l.amount = r.paid", Side.LEFT, [{"amount": Decimal("1.50")}])

    assert found.schema.types == [planned(f"{JOIN} l.amount = r.paid").reason_keys[0].type]
    assert found.column("__k0").to_pylist() == [Decimal("1.500")]


def test_row_numbers_come_along_after_the_keys() -> None:
    found = keys_of(f"{JOIN} l.k = r.k", Side.RIGHT, [{"k": 3}, {"k": 1}], row=True)

    assert found.schema.names == ["__k0", ROW]
    assert found.column(ROW).to_pylist() == [10, 11]


def test_a_composite_key_has_one_column_per_component() -> None:
    sql = f"{JOIN} l.k = r.k and lower(trim(l.ref)) = lower(r.ref)"

    found = keys_of(sql, Side.LEFT, [{"k": 3, "ref": " Ab "}], row=True)

    assert found.schema.names == ["__k0", "__k1", ROW]
    assert found.to_pylist()[0] == {"__k0": 3, "__k1": "ab", ROW: 10}


def test_components_that_come_by_unlike_routes_stand_beside_each_other() -> None:
    sql = (
        "select l.name, t.n from left_src l join "
        "(select upper(ref) u, k + 1 v, name n from right_src) t "
        "on upper(l.ref) = t.u and l.k = t.v "
        "join (select k as w, cur as c from right_src) s on s.w = l.k and l.cur = s.c"
    )
    plan = planned(sql)

    found = keys_of(sql, Side.LEFT, [{"k": 3, "ref": "a", "cur": "EUR"}], row=True)

    assert found.schema.names == [f"__k{i}" for i in range(len(plan.reason_keys))] + [ROW]
    wanted = {"upper(ref)": "A", "k": 3, "cur": "EUR"}
    assert found.to_pylist()[0] == {
        **{f"__k{i}": wanted[key.text(Side.LEFT)] for i, key in enumerate(plan.reason_keys)},
        ROW: 10,
    }


def test_keys_by_several_routes_keep_all_their_columns() -> None:
    sql = (
        "with a as (select upper(ref) u, id from left_src), "
        "b as (select k + 1 v, id i from left_src) "
        "select r.id from a join right_src r on r.ref = a.u join b on b.v = r.k and b.i = a.id"
    )

    found = keys_of(sql, Side.LEFT, [{"k": 3, "ref": "a", "id": 1}, {"ref": None}], row=True)

    assert [key.text(Side.LEFT) for key in planned(sql).reason_keys] == ["k + 1", "upper(ref)"]
    assert found.to_pylist() == [
        {"__k0": 4, "__k1": "A", ROW: 10},
        {"__k0": None, "__k1": None, ROW: 11},
    ]


def test_columns_of_one_route_are_all_there_beside_another_route() -> None:
    inner = "select id, k, lower(trim(ref)) as ref, grp from right_src"
    on = "l.k = r.k and l.ref = r.ref and l.grp = r.grp"
    sql = f"select l.id from left_src l join ({inner}) r on {on}"

    found = keys_of(sql, Side.RIGHT, [{"k": 3, "ref": " A ", "grp": 2}], row=True)

    assert [key.text(Side.RIGHT) for key in planned(sql).reason_keys] == [
        "k",
        "lower(btrim(ref))",
        "grp",
    ]
    assert found.to_pylist() == [{"__k0": 3, "__k1": "a", "__k2": 2, ROW: 10}]


def test_a_cast_that_fails_gives_null_where_the_sql_may_never_have_cast() -> None:
    source = "(select * from right_src where sref <> 'x')"
    sql = f"select l.id from left_src l join {source} r on l.k = cast(r.sref as bigint)"

    found = keys_of(sql, Side.RIGHT, [{"sref": "7"}, {"sref": "x"}])

    assert found.column("__k0").to_pylist() == [7, None]


def test_a_cast_inside_a_sub_query_gives_null_too() -> None:
    inner = "select cast(sref as bigint) v from right_src where sref <> 'x'"

    found = keys_of(
        f"select l.id from left_src l join ({inner}) s on l.k = s.v",
        Side.RIGHT,
        [{"sref": "x"}, {"sref": "7"}],
    )

    assert found.column("__k0").to_pylist() == [None, 7]


@pytest.mark.parametrize(
    ("key", "texts", "keys"),
    [
        ("to_date(r.sref) = to_date(l.ref)", ["2026-01-02", "x", None], [date(2026, 1, 2)]),
        (
            "lpad(cast(cast(r.sref as int) as varchar), 5, '0') = l.ref",
            ["42", "x", None],
            ["00042"],
        ),
        ("to_date(r.sref, '%d.%m.%Y') = l.d", ["2.1.2026", "31.02.2026", ""], [date(2026, 1, 2)]),
        ("6 / cast(r.sref as int) = l.k", ["2", "0", "n/a"], [3]),
        (
            "cast(cast(r.sref as date) as varchar) = l.ref",
            ["2026-01-02", "2026-13-02", ""],
            ["2026-01-02"],
        ),
    ],
)
@pytest.mark.parametrize("inner", [False, True], ids=["in the join", "below the filter"])
def test_a_conversion_that_fails_behind_a_filter_gives_null(
    key: str, texts: list[str | None], keys: list[object], inner: bool
) -> None:
    theirs, ours = key.split(" = ")
    sql = f"select l.id from left_src l join (select * from right_src where id > 0) r on {key}"
    if inner:
        made = f"select {theirs} v from right_src r where r.id > 0"
        sql = f"select l.id from left_src l join ({made}) s on s.v = {ours}"

    found = keys_of(sql, Side.RIGHT, [{"sref": text} for text in texts])

    assert found.column("__k0").to_pylist() == [*keys, None, None]


@pytest.mark.parametrize(
    "key",
    ["case when r.sref like '1%' then cast(r.sref as int) else 0 end = l.k", "chr(r.k) = l.ref"],
)
def test_a_key_that_could_fail_behind_a_filter_is_forgiving_on_that_side(key: str) -> None:
    plan = planned(f"{JOIN} {key} where r.grp > 0")

    (found,) = plan.reason_keys
    assert (found.left.forgiving, found.right.forgiving) == (False, True)


def test_the_same_key_without_a_filter_fails_as_the_sql_does() -> None:
    plan = planned(f"{JOIN} 6 / l.grp = r.grp")

    assert [key.text(Side.RIGHT) for key in plan.reason_keys] == ["grp"]


def test_keys_are_readable_over_the_columns_of_their_source() -> None:
    plan = planned(f"{JOIN} l.k = r.k and lower(trim(l.ref)) = lower(r.ref) and l.cur = r.cur")

    assert [key.text(Side.LEFT) for key in plan.reason_keys] == [
        "k",
        "lower(btrim(ref))",
        "cur",
    ]
    assert [key.text(Side.RIGHT) for key in plan.reason_keys] == ["k", "lower(ref)", "cur"]


def test_null_safe_components_are_marked() -> None:
    plan = planned(f"{JOIN} (l.k is not distinct from r.k)")

    assert [key.null_safe for key in plan.reason_keys] == [True]
    assert plan.nulls_together


def test_a_key_through_a_group_is_the_column_that_was_grouped_by() -> None:
    sums = "select ref q, sum(paid) s from right_src group by ref"

    plan = planned(f"select l.id from left_src l join ({sums}) g on l.ref = g.q")

    assert [key.text(Side.RIGHT) for key in plan.reason_keys] == ["ref"]


def test_equal_keys_meet_through_an_extra() -> None:
    plan = planned(
        "select l.id from left_src l join fx x on l.k = x.k join right_src r on r.k = x.k"
    )

    assert [(k.text(Side.LEFT), k.text(Side.RIGHT)) for k in plan.reason_keys] == [("k", "k")]


def test_without_a_key_to_cut_by_necessary_equalities_still_tell_reasons() -> None:
    plan = planned(
        "select a.id from left_src a join left_src b on a.ref = b.ref join right_src r on r.k = a.k"
    )

    assert plan.copartition is None
    assert [key.text(Side.RIGHT) for key in plan.reason_keys] == ["k"]


def test_alternatives_are_no_keys() -> None:
    either = planned(f"{JOIN} l.k = r.k or l.ref = r.ref")
    rules = planned(f"{JOIN} l.k = r.k union all {JOIN} l.ref = r.ref")

    assert either.reason_keys == rules.reason_keys == ()
