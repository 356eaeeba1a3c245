from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import Rule, condition_frame, measure_frame
from tests.unit.matching.nasty import numbered
from tests.unit.matching.running import planned
from tests.unit.matching.test_keys import SCHEMAS

JOIN = "select l.id from left_src l join right_src r on l.k = r.k"
Row = dict[str, object]


def rule_of(sql: str) -> Rule:
    (rule,) = planned(sql).rules
    return rule


def texts(sql: str) -> list[str]:
    return [condition.text for condition in rule_of(sql).conditions]


def session_with(sql: str, rows: dict[Side, list[Row]]):
    session = new_session()
    register_calls(session, planned(sql).prepared)
    for side, given in rows.items():
        schema = SCHEMAS[side]
        filled = [dict.fromkeys(schema.names) | row for row in given]
        table = numbered(pa.Table.from_pylist(filled, schema=schema))
        register_side(session, planned(sql).query, side, table.to_batches())
    return session


def held(sql: str, left: list[Row], right: list[Row]) -> list[tuple[object, ...]]:
    """Return what each condition says of each pair, in the order of the pairs."""
    session = session_with(sql, {Side.LEFT: left, Side.RIGHT: right})
    table = condition_frame(planned(sql), rule_of(sql), session).to_arrow_table().sort_by(ROW)
    assert table.schema.names == [ROW, *(f"c{i}" for i in range(len(rule_of(sql).conditions)))]
    return [tuple(row.values())[1:] for row in table.to_pylist()]


def measured(sql: str, side: Side, rows: list[Row]) -> list[object] | None:
    session = session_with(sql, {side: rows})
    frame = measure_frame(planned(sql), rule_of(sql), session, side)
    return None if frame is None else frame.to_arrow_table().sort_by(ROW).to_pylist()


def test_the_key_itself_is_no_condition() -> None:
    assert texts(JOIN) == []


def test_conditions_are_told_from_the_columns_of_both_sides() -> None:
    sql = f"{JOIN} and tolerance_match(l.amount, r.paid, 0.02)"

    (condition,) = rule_of(sql).conditions

    assert condition.text == "tolerance_match(l.amount, r.paid, 0.02)"
    assert condition.left_columns == ("amount",)
    assert condition.right_columns == ("paid",)
    assert condition.measurable


def test_filters_of_one_side_are_conditions_too() -> None:
    (condition,) = rule_of(f"{JOIN} where l.cur = 'EUR'").conditions

    assert condition.left_columns == ("cur",)
    assert condition.right_columns == ()
    assert not condition.measurable


def test_each_condition_is_told_for_each_pair() -> None:
    sql = f"{JOIN} and abs(l.amount - r.paid) <= 0.02 where l.cur = 'EUR' and r.grp > 1"
    left = [{"amount": Decimal("1.00"), "cur": "EUR"}, {"amount": Decimal(3), "cur": "USD"}]
    right = [{"paid": Decimal("1.02"), "grp": 2}, {"paid": Decimal(1), "grp": None}]

    found = held(sql, left, right)

    by_text = [dict(zip(texts(sql), row, strict=True)) for row in found]
    assert sorted(texts(sql)) == sorted(
        ["abs(l.amount - r.paid) <= 0.02", "left_src.cur = 'EUR'", "right_src.grp > 1"]
    )
    assert list(by_text[0].values()) == [True, True, True]
    assert by_text[1]["abs(l.amount - r.paid) <= 0.02"] is False
    assert by_text[1]["left_src.cur = 'EUR'"] is False
    assert by_text[1]["right_src.grp > 1"] is None


def test_a_condition_of_kallas_own_functions_is_told() -> None:
    sql = f"{JOIN} and tolerance_match(l.amount, r.paid, 0.02)"
    amounts = [{"amount": Decimal("1.00")}, {"amount": Decimal("1.00")}]

    found = held(sql, amounts, [{"paid": Decimal("1.02")}, {"paid": Decimal("1.03")}])

    assert found == [(True,), (False,)]


def test_a_condition_above_a_projection_of_both_sides_is_told() -> None:
    sql = (
        "select id from (select l.id, l.amount - r.paid as diff from left_src l "
        "join right_src r on l.k = r.k) t where diff > 0.5"
    )

    found = held(sql, [{"amount": Decimal(2)}], [{"paid": Decimal(1)}])

    assert found == [(True,)]


def test_an_equality_beside_the_key_of_a_sum_is_a_condition() -> None:
    sums = "select ref, sum(paid) s from right_src group by ref"
    sql = (
        f"select l.id from left_src l join ({sums}) g on l.ref = g.ref "
        "join right_src r on r.ref = l.ref and r.k = l.k"
    )

    (condition,) = rule_of(sql).conditions

    assert condition.right_columns == ("k",)


def test_what_one_row_of_each_side_cannot_tell_is_left_out() -> None:
    sums = "select ref, sum(paid) s from right_src group by ref"

    found = texts(
        f"select l.id from left_src l join ({sums}) g on l.ref = g.ref and l.amount = g.s"
    )

    assert found == []


@pytest.mark.parametrize(
    ("condition", "left", "right"),
    [
        ("tolerance_match(l.amount, r.paid, 0.02)", Decimal("1.50"), Decimal("2.500")),
        ("tolerance_pct(r.paid, l.amount, 0.02)", Decimal("1.50"), Decimal("2.500")),
        ("abs(r.paid - l.amount) < 1", Decimal("1.50"), Decimal("2.500")),
        ("date_within(l.d, r.d, 3)", dt.date(2026, 1, 2), dt.date(2026, 1, 9)),
        ("l.d < r.d", dt.date(2026, 1, 2), dt.date(2026, 1, 9)),
    ],
)
def test_a_condition_that_limits_a_distance_says_what_it_measures(
    condition: str, left: object, right: object
) -> None:
    sql = f"{JOIN} where l.cur = 'EUR' and {condition}"
    row: Row = {"amount": Decimal("1.50"), "paid": Decimal("2.500")}
    dates = {Side.LEFT: dt.date(2026, 1, 2), Side.RIGHT: dt.date(2026, 1, 9)}

    found = {
        side: measured(
            sql,
            side,
            [{k: v for k, v in row.items() if k in SCHEMAS[side].names} | {"d": dates[side]}],
        )
        for side in Side
    }

    assert found[Side.LEFT] == [{ROW: 0, "value": left}]
    assert found[Side.RIGHT] == [{ROW: 0, "value": right}]


@pytest.mark.parametrize("condition", ["l.cur = r.cur", "l.cur < r.cur", "l.amount > l.k"])
def test_other_conditions_measure_nothing(condition: str) -> None:
    assert measured(f"{JOIN} and {condition}", Side.LEFT, [{}]) is None


@pytest.mark.parametrize(
    ("condition", "is_so"),
    [
        ("tolerance_match(l.amount, r.paid, 0.02)", True),
        ("tolerance_match(l.amount, r.paid, l.rate)", False),
        ("tolerance_pct(l.amount, r.paid, 0.02)", False),
        ("abs(l.amount - r.paid) < 0.5", True),
        ("0.5 >= abs(r.paid - l.amount)", True),
        ("abs(l.amount - r.paid) > 0.5", False),
        ("abs(l.amount - r.paid) < l.amount", False),
        ("l.amount < r.paid", False),
        ("date_within(l.at, r.at, 1)", False),
    ],
)
def test_where_a_distance_has_a_fixed_bound_the_nearest_decides_for_all(
    condition: str, is_so: bool
) -> None:
    (found,) = rule_of(f"{JOIN} and {condition}").conditions

    assert found.measurable
    assert found.nearest_holds_first is is_so


@pytest.mark.parametrize(
    ("condition", "text", "of_columns"),
    [
        ("l.amount < r.paid", "l.amount < r.paid", True),
        ("l.amount <= r.k", "l.amount <= r.k", True),
        ("-l.k * 2 < r.paid", "((- l.k) * 2) < r.paid", False),
        (
            "cast(l.rate as decimal(20, 3)) < r.paid",
            "CAST(l.rate AS DECIMAL(20, 3)) < r.paid",
            False,
        ),
        ("try_cast(l.ref as int) < r.k", "TRY_CAST(l.ref AS INT) < r.k", False),
        ("l.amount::int < r.k", "CAST(l.amount AS INT) < r.k", False),
        ("l.cur || ')' < cast(r.k as varchar)", "l.cur || ')' < CAST(r.k AS VARCHAR)", False),
    ],
)
def test_a_condition_shows_the_casts_that_are_written_and_no_others(
    condition: str, text: str, of_columns: bool
) -> None:
    (found,) = rule_of(f"{JOIN} and {condition}").conditions

    assert found.text == text
    assert found.of_columns == of_columns


def test_a_key_shows_no_cast_that_nobody_wrote() -> None:
    sql = "select l.id from left_src l join right_src r on l.amount = r.paid and -l.k = r.k"

    assert [key.text(Side.LEFT) for key in rule_of(sql).keys] == ["amount", "(- k)"]
