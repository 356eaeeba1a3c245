"""Arithmetic and comparisons are exact, or an error: held against Python's own numbers."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql, KallaError, TypesNotComparable
from kalla_core.matching.plans.session import new_session
from tests.support.evaluated import evaluated, value

INT64 = range(-(2**63), 2**63)
INTEGERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()
]  # fmt: skip


def extremes(integer: pa.DataType) -> list[int]:
    signed = pa.types.is_signed_integer(integer)
    bits = integer.bit_width - signed
    return [-(2**bits) if signed else 0, 0, 1, 3, 2**bits - 1]


@dataclass(frozen=True)
class Arithmetic:
    """An expression as SQL, and its value; None where some step of it is no 64-bit integer."""

    sql: str
    value: int | None

    def joined(self, operator: str, other: Arithmetic) -> Arithmetic:
        return Arithmetic(f"({self.sql} {operator} {other.sql})", self._joined(operator, other))

    def _joined(self, operator: str, other: Arithmetic) -> int | None:
        if self.value is None or other.value is None:
            return None
        found = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[operator](
            self.value, other.value
        )
        return found if found in INT64 else None

    def negated(self) -> Arithmetic:
        found = None if self.value is None or -self.value not in INT64 else -self.value
        return Arithmetic(f"(- {self.sql})", found)


def arithmetic(rng: random.Random, columns: dict[str, int], depth: int) -> Arithmetic:
    if depth == 0 or rng.random() < 0.2:
        if rng.random() < 0.2:
            number = rng.choice([1, 2, 7, 2**31, 2**63 - 1])
            return Arithmetic(str(number), number)
        name = rng.choice(sorted(columns))
        return Arithmetic(name, columns[name])
    left = arithmetic(rng, columns, depth - 1)
    if rng.random() < 0.15:
        return left.negated()
    return left.joined(rng.choice("+-*"), arithmetic(rng, columns, depth - 1))


def check_arithmetic(seed: int) -> None:
    rng = random.Random(seed)
    kinds = {f"c{n}": kind for n, kind in enumerate(INTEGERS[:-1])}
    columns = {name: rng.choice(extremes(kind)) for name, kind in kinds.items()}
    expected = arithmetic(rng, columns, rng.randint(1, 4))
    table = {name: pa.array([columns[name]], kind) for name, kind in kinds.items()}
    if expected.value is None:
        with pytest.raises(KallaError) as caught:
            value(expected.sql, **table)
        assert isinstance(caught.value, InvalidSql), expected
    else:
        assert value(expected.sql, **table) == expected.value, expected


def test_integer_arithmetic_is_what_it_is_or_an_error() -> None:
    for seed in range(150):
        check_arithmetic(seed)


@pytest.mark.full
def test_integer_arithmetic_is_what_it_is_or_an_error_thousands_of_times() -> None:
    for seed in range(150, 6000):
        check_arithmetic(seed)


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
@pytest.mark.parametrize("form", ["sum({})", "sum({}) over ()", "sum({}) filter (where id > 0)"])
def test_a_sum_of_integers_is_exact_or_an_error(kind: pa.DataType, form: str) -> None:
    most = extremes(kind)[-1]
    table = pa.table({"id": [1, 2, 3], "n": pa.array([most] * 3, kind)})
    sql = f"select {form.format('n')} as x from left_src"

    if kind == pa.int64():
        with pytest.raises(InvalidSql):
            evaluated(sql, table)
        table = table.set_column(1, "n", pa.array([most, -most, most], kind))
        assert evaluated(sql, table)[0]["x"] == most
    else:
        assert evaluated(sql, table)[0]["x"] == 3 * most


def test_a_sum_of_decimals_beyond_38_digits_is_an_error() -> None:
    most = Decimal("9" * 38)
    table = pa.table({"id": [1, 2], "n": pa.array([most, most], pa.decimal128(38, 0))})

    with pytest.raises(InvalidSql):
        evaluated("select sum(n) as x from left_src", table)

    table = table.set_column(1, "n", pa.array([most, most.copy_negate()], pa.decimal128(38, 0)))
    assert evaluated("select sum(n) as x from left_src", table) == [{"x": Decimal(0)}]


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("abs(n)", 128),
        ("- n", 128),
        ("u + u", 2**64 + 10),
        ("u + n", 2**63 + 5 - 128),
        ("u * 2", 2**64 + 10),
        ("d + i", None),
        ("length(t) * length(t)", 9),
        ("date_part('year', d) * date_part('year', d) * date_part('year', d)", 2026**3),
        ("row_number() over () - 1", 0),
        ("count(*) * 9223372036854775807", 2**63 - 1),
        ("9223372036854775807 + 1", None),
        ("-9223372036854775808", -(2**63)),
        ("sum(n) + sum(n)", -256),
        ("case when false then i * i else n end", -128),
    ],
)
def test_other_integers_do_not_wrap_either(expression: str, right: int | None) -> None:
    columns = {
        "n": pa.array([-128], pa.int8()),
        "i": pa.array([2**62], pa.int64()),
        "u": pa.array([2**63 + 5], pa.uint64()),
        "d": pa.array([dt.date(2026, 1, 1)], pa.date32()),
        "t": pa.array(["abc"]),
    }

    if right is None:
        with pytest.raises(InvalidSql):
            value(expression, **columns)
    else:
        assert value(expression, **columns) == right


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        (" + ".join(["n"] * 30), -30 * 128),
        (" - ".join(["i"] * 3 + ["n"] * 20), -(2**62) + 20 * 128),
        ("(" * 12 + "n" + " + i - i)" * 12, -128),
        ("n - (i - (n + (i - (n - (i + (n - (i - (n + n)))))))) + i", None),
        (" + ".join(["i"] * 12), None),
        ("case when " + " + ".join(["n"] * 12) + " < 0 then 1 else 0 end", 1),
    ],
)
def test_long_sums_of_integers_are_planned_at_once_and_exact(
    expression: str, right: int | None
) -> None:
    columns = {"n": pa.array([-128], pa.int8()), "i": pa.array([2**62], pa.int64())}

    if right is None and expression.startswith("i"):
        with pytest.raises(InvalidSql):
            value(expression, **columns)
    else:
        wanted = eval(expression, {"n": -128, "i": 2**62}) if right is None else right  # noqa: S307
        assert value(expression, **columns) == wanted


@pytest.mark.parametrize(
    "column", ["n + 1", "- n", "sum(n)", "abs(n)", "round(a, 2)", "n * (n - 1)"]
)
def test_exact_columns_have_the_names_they_would_have(column: str) -> None:
    table = pa.table({"id": [1], "n": pa.array([5], pa.int8()), "a": pa.array([Decimal("1.25")])})
    session = new_session()
    session.register_record_batches("left_src", [table.to_batches()])
    plain = session.sql(f"select {column} from left_src").schema().names

    (row,) = evaluated(f"select {column} from left_src", table)

    assert list(row) == plain


def test_what_is_grouped_by_is_still_what_is_selected() -> None:
    table = pa.table({"id": [1, 2], "n": pa.array([127, 127], pa.int8())})
    sql = (
        "select n + 1 as a, sum(n + 1) as s, count(*) as c from left_src "
        "group by n + 1 having sum(n + 1) > 1 order by n + 1"
    )

    assert evaluated(sql, table) == [{"a": 128, "s": 256, "c": 2}]


def test_the_same_text_over_other_types_stays_what_it_is_there() -> None:
    table = pa.table({"id": [1], "n": pa.array([127], pa.int8()), "a": [Decimal("0.5")]})
    sql = (
        "select v + 1 as x from (select n as v from left_src) s "
        "union all select v + 1 as x from (select a as v from left_src) s"
    )

    assert sorted(row["x"] for row in evaluated(sql, table)) == [Decimal("1.5"), Decimal(128)]


@pytest.mark.parametrize("places", ["2", "0", "-1", "1 + 1", "9"])
@pytest.mark.parametrize("condition", ["{} = r.a", "r.a = {}", "tolerance_match({}, r.a, 0)"])
def test_what_is_rounded_is_found(places: str, condition: str) -> None:
    rounding = {"2": "119.00", "0": "119", "-1": "120", "1 + 1": "119.00", "9": "118.9970"}
    left = pa.table({"id": [1], "a": pa.array([Decimal("99.9975")], pa.decimal128(9, 4))})
    right = pa.table({"id": [1], "a": pa.array([Decimal(rounding[places])])})
    on = condition.format(f"round(l.a * 1.19, {places})")
    if places == "9":
        on = condition.format("round(l.a * 1.19, 4)")

    found = evaluated(f"select l.id as x from left_src l join right_src r on {on}", left, right)

    assert found == [{"x": 1}]


UTC = dt.UTC
FIRST, NEW_YEAR, LAST = dt.datetime(1, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(9999, 12, 31)
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    *((kind, extremes(kind)) for kind in INTEGERS),
    (pa.float32(), [0.0, 1.0, 3.0, 1.5, 2.0**24]),
    (pa.float64(), [0.0, 1.0, 3.0, 0.1, 2.0**53, 2.0**63]),
    (pa.decimal128(9, 2), [Decimal("0.00"), Decimal("1.00"), Decimal("127.00"), Decimal("0.10")]),
    (
        pa.decimal128(38, 0),
        [Decimal(1), Decimal(2**63 - 1), Decimal(2**64 - 1), Decimal("9" * 38)],
    ),
    (pa.decimal128(38, 20), [Decimal("1." + "0" * 20), Decimal("0." + "0" * 19 + "1")]),
    (pa.string(), ["1", "abc", "9999-12-31", "3"]),
    (pa.bool_(), [True, False]),
    (pa.date32(), [FIRST.date(), NEW_YEAR.date(), LAST.date()]),
    *((pa.timestamp(unit), [FIRST, NEW_YEAR, LAST]) for unit in ("s", "ms", "us")),
    (pa.timestamp("ns"), [dt.datetime(1970, 1, 1), NEW_YEAR]),
    (pa.timestamp("us", "UTC"), [NEW_YEAR.replace(tzinfo=UTC), LAST.replace(tzinfo=UTC)]),
    (pa.timestamp("us", "Europe/Berlin"), [NEW_YEAR.replace(tzinfo=UTC)]),
]  # fmt: skip


def comparable(one: Any) -> Any:
    """Return a value as one that Python compares exactly."""
    if isinstance(one, dt.date) and not isinstance(one, dt.datetime):
        return dt.datetime(one.year, one.month, one.day)
    return Decimal(one) if isinstance(one, float) else one


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<": lambda a, b: bool(a < b),
    "is not distinct from": lambda a, b: bool(a == b),
}


def check_comparison(one: int, other: int, operator: str) -> None:
    (kind, values), (other_kind, others) = VALUES[one], VALUES[other]
    left = pa.table({"id": range(len(values)), "v": pa.array(values, kind)})
    right = pa.table({"id": range(len(others)), "v": pa.array(others, other_kind)})
    sql = f"select l.id as a, r.id as b from left_src l join right_src r on l.v {operator} r.v"
    try:
        rows = evaluated(sql, left, right)
    except (TypesNotComparable, InvalidSql):
        return
    found = {(row["a"], row["b"]) for row in rows}
    pairs = product(enumerate(values), enumerate(others))
    holds = OPERATORS[operator]
    expected = {(a, b) for (a, x), (b, y) in pairs if holds(comparable(x), comparable(y))}
    assert found == expected, (kind, other_kind, operator)


@pytest.mark.parametrize("one", range(len(VALUES)), ids=lambda n: str(VALUES[n][0]))
def test_values_of_two_types_are_compared_exactly_or_not_at_all(one: int) -> None:
    for other in range(one, len(VALUES)):
        check_comparison(one, other, "=")


@pytest.mark.full
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("one", range(len(VALUES)), ids=lambda n: str(VALUES[n][0]))
def test_whatever_compares_them_does_so_exactly(one: int, operator: str) -> None:
    for other in range(len(VALUES)):
        check_comparison(one, other, operator)


COMPARED = [
    (pa.int8(), pa.uint64()),
    (pa.int64(), pa.decimal128(38, 20)),
    (pa.date32(), pa.timestamp("us")),
    (pa.timestamp("s"), pa.timestamp("us")),
    (pa.date32(), pa.timestamp("s")),
]


@pytest.mark.parametrize(("one", "other"), COMPARED, ids=str)
def test_these_types_do_compare(one: pa.DataType, other: pa.DataType) -> None:
    left = pa.table({"id": [1], "v": pa.array([None], one)})
    right = pa.table({"id": [1], "v": pa.array([None], other)})

    for form in ("l.v = r.v", "r.v between l.v and l.v", "l.v in (r.v)", "r.v >= l.v"):
        evaluated(f"select l.id as a from left_src l join right_src r on {form}", left, right)


@pytest.mark.parametrize(
    "condition",
    [
        "l.d = r.t", "r.t >= l.d", "r.t between l.d and l.d", "l.d between r.t and r.t",
        "r.t in (l.d)", "l.d is not distinct from r.t", "r.t = '9999-12-31'",
        "r.t = timestamp '9999-12-31'", "r.t = date '9999-12-31'", "r.t <= '9999-12-31 00:00:00'",
    ],
)  # fmt: skip
def test_the_end_of_all_dates_is_a_date_like_others(condition: str) -> None:
    left = pa.table({"id": [1], "d": pa.array([dt.date(9999, 12, 31)])})
    right = pa.table({"id": [1], "t": pa.array([dt.datetime(9999, 12, 31)], pa.timestamp("us"))})
    sql = f"select l.id as x from left_src l join right_src r on l.id = r.id and {condition}"

    assert evaluated(sql, left, right) == [{"x": 1}]


@pytest.mark.parametrize(
    "expression",
    [
        "sum(e)", "sum(distinct e)", "sum(e) filter (where id > 0)", "sum(-e)", "sum(abs(e))",
        "sum(e) + 1", "sum(case when id = 1 then e end)", "sum(e) over (partition by id)",
    ],
)  # fmt: skip
def test_a_sum_of_a_column_without_any_value_is_null(expression: str) -> None:
    table = pa.table({"id": [1, 2], "e": pa.nulls(2)})

    rows = evaluated(f"select {expression} as x from left_src", table)

    assert {row["x"] for row in rows} == {None}


@pytest.mark.parametrize(
    "expression",
    [
        "abs(e)", "round(e)", "round(e, 2)", "trunc(e)", "to_hex(e)", "date_trunc('month', e)",
        "date_part('month', e)", "extract(year from e)", "extract(year from e) + 1",
        "extract(year from e + interval '1 day')", "date_trunc('month', null)",
        "e + interval '1 day'",
    ],
)  # fmt: skip
def test_a_function_of_a_value_without_a_type_is_null(expression: str) -> None:
    assert value(expression, e=pa.nulls(1)) is None


def test_what_has_a_type_beside_a_column_without_any_value_is_computed_as_ever() -> None:
    columns = {"e": pa.nulls(1), "d": pa.array([dt.date(2026, 5, 31)]), "n": pa.array([-7])}

    assert value("extract(month from d)", **columns) == 5
    assert value("date_trunc('month', d)", **columns) in (
        dt.date(2026, 5, 1),
        dt.datetime(2026, 5, 1),
    )
    assert value("abs(n) + coalesce(sum(e) over (), 0)", **columns) == 7


@pytest.mark.parametrize(
    "condition",
    [
        "abs(e) = cast(1 as decimal(9, 2))", "round(e) = cast(1 as decimal(9, 2))",
        "abs(e) > n", "round(e, 2) = 1.5", "round(e) = f", "abs(e) = t", "date_trunc('day', e) = d",
    ],
)  # fmt: skip
def test_what_is_computed_of_a_column_without_any_value_fits_anything(condition: str) -> None:
    columns = {"n": pa.array([7]), "f": pa.array([1.5]), "t": pa.array(["x"])}
    day = pa.array([dt.date(2026, 5, 31)])

    assert value(condition, e=pa.nulls(1), d=day, **columns) is None


TIMES = {
    "s": pa.time32("s"), "ms": pa.time32("ms"), "us": pa.time64("us"), "ns": pa.time64("ns"),
}  # fmt: skip


@pytest.mark.parametrize("unit", TIMES)
@pytest.mark.parametrize(
    "condition",
    [
        "t = time '01:02:03'", "t < time '01:02:03.000000001'", "t in (time '01:02:03')",
        "t between time '01:02:03' and time '01:02:04'", "coalesce(u, t) = o", "t = o",
        "nullif(t, time '01:02:03') is null", "t is not distinct from o", "t = '01:02:03'",
    ],
)  # fmt: skip
def test_times_of_a_day_compare_whatever_their_units(condition: str, unit: str) -> None:
    for other in TIMES.values():
        time = pa.array([dt.time(1, 2, 3)])
        columns = {"t": time.cast(TIMES[unit]), "o": time.cast(other), "u": pa.nulls(1, other)}

        assert value(condition, **columns) is True


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("coalesce(n, d)", "9999-12-31 00:00:00"),
        ("coalesce(d, m)", "9999-12-31 00:00:00"),
        ("nvl(d, m)", "9999-12-31 00:00:00"),
        ("ifnull(m, d)", "2026-01-02 03:04:05"),
        ("nvl(d, d)", "9999-12-31"),
        ("greatest(d, m)", "9999-12-31 00:00:00"),
        ("least(d, m, m)", "2026-01-02 03:04:05"),
        ("nullif(d, m)", "9999-12-31 00:00:00"),
    ],
)
def test_a_date_and_a_timestamp_take_turns_over_their_whole_range(
    expression: str, expected: str
) -> None:
    moment = pa.array([dt.datetime(2026, 1, 2, 3, 4, 5)], pa.timestamp("us"))
    columns = {"d": pa.array([dt.date(9999, 12, 31)]), "m": moment}

    found = value(expression, n=pa.nulls(1, pa.timestamp("us")), **columns)

    assert str(found) == expected


@pytest.mark.parametrize("function", ["ceil", "floor", "trunc"])
def test_a_whole_number_stays_the_one_it_is(function: str) -> None:
    columns = {"n": pa.array([2**53 + 1]), "m": pa.array([2**53])}

    assert value(f"{function}(n)", **columns) == 2**53 + 1
    assert value(f"{function}(n) = {function}(m)", **columns) is False
    assert value(f"{function}(m - n + 6) / 2", **columns) == Decimal("2.5")
