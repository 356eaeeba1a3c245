"""Filters keep exactly the rows that a plain model in Python keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import InvalidFilter, UnknownColumn
from kalla_core.recipe.model import Filter, FilterOp, Scalar
from kalla_core.sources.filters import compile_filters, filter_faults

ORDERED = [FilterOp.EQ, FilterOp.NEQ, FilterOp.GT, FilterOp.GTE, FilterOp.LT, FilterOp.LTE]
INTEGERS = {
    pa.int8(): (-(2**7), 2**7 - 1),
    pa.int32(): (-(2**31), 2**31 - 1),
    pa.int64(): (-(2**63), 2**63 - 1),
    pa.uint8(): (0, 2**8 - 1),
    pa.uint64(): (0, 2**64 - 1),
}
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Rank = Callable[[Any], Any]


def holds(op: FilterOp, value: Any, wanted: Any) -> bool:
    match op:
        case FilterOp.EQ:
            return bool(value == wanted)
        case FilterOp.NEQ:
            return bool(value != wanted)
        case FilterOp.GT:
            return bool(value > wanted)
        case FilterOp.GTE:
            return bool(value >= wanted)
        case FilterOp.LT:
            return bool(value < wanted)
        case _:
            return bool(value <= wanted)


def passes(each: Filter, value: Any, rank: Rank) -> bool:
    if value is None:
        return False
    if each.op is FilterOp.BETWEEN:
        low, high = each.value
        return rank(low) <= rank(value) <= rank(high)
    if each.op is FilterOp.IN:
        return any(rank(value) == rank(option) for option in each.value)
    return holds(each.op, rank(value), rank(each.value))


def kept(values: pa.Array, each: Filter) -> list[int]:
    """The indexes of the rows that a filter on the column `v` keeps."""
    rows = pa.record_batch({"v": values, "i": pa.array(range(len(values)), pa.int64())})
    indexes: list[int] = compile_filters([each], rows.schema).keep(rows).column("i").to_pylist()
    return indexes


def check(values: pa.Array, plain: Sequence[Any], each: Filter, rank: Rank) -> None:
    expected = [i for i, value in enumerate(plain) if passes(each, value, rank)]

    found = kept(values, each)

    assert found == expected, (plain, each)
    bounds = [value for value in plain if value is not None]
    if expected and not any(isinstance(value, float) for value in bounds):
        low, high = (pick(bounds, key=rank) for pick in (min, max))
        scalars = (pa.scalar(low, values.type), pa.scalar(high, values.type))
        row_filter = compile_filters([each], pa.schema([("v", values.type)]))
        assert row_filter.may_keep({"v": scalars})


def filters_of(literals: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    pairs = st.tuples(literals, literals)
    several = st.lists(literals, min_size=1, max_size=4).map(tuple)
    return (
        st.builds(Filter, st.just("v"), st.sampled_from(ORDERED), literals)
        | st.builds(Filter, st.just("v"), st.just(FilterOp.BETWEEN), pairs)
        | st.builds(Filter, st.just("v"), st.just(FilterOp.IN), several)
    )


def exactly(value: Any) -> Fraction | float:
    """A number as printed; infinities compare with fractions as they are."""
    if isinstance(value, float) and math.isinf(value):
        return value
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


huge = st.integers(-(10**45), 10**45)
near_integers = st.integers(-300, 300) | st.integers(2**63 - 2, 2**64 + 1)
numbers = (
    near_integers
    | huge
    | st.floats(allow_nan=False)
    | st.floats(-300, 300, width=16)
    | st.decimals(-300, 300, places=2).map(str)
)


@given(st.data(), st.sampled_from(list(INTEGERS)), filters_of(numbers))
def test_integers_compare_exactly_with_any_number(
    data: st.DataObject, kind: pa.DataType, each: Filter
) -> None:
    low, high = INTEGERS[kind]
    values = data.draw(
        st.lists(st.none() | st.integers(max(low, -300), min(high, 300)) | st.integers(low, high))
    )

    check(pa.array(values, kind), values, each, exactly)


@given(
    st.lists(st.none() | st.decimals(-(10**3), 10**3, places=2)),
    st.sampled_from([pa.decimal128(12, 2), pa.decimal128(38, 4), pa.decimal256(60, 2)]),
    filters_of(
        numbers | st.decimals(-10, 10, places=5).map(str) | st.decimals(-9, 9, places=2).map(float)
    ),
)
def test_decimals_compare_exactly_with_numbers_as_they_are_printed(
    values: list[Decimal | None], kind: pa.DataType, each: Filter
) -> None:
    check(pa.array(values, kind), values, each, exactly)


@pytest.mark.parametrize(
    ("op", "found"), [("lt", [0, 1]), ("neq", [0, 1]), ("gte", []), ("eq", [])]
)
def test_integers_are_smaller_than_nan(op: str, found: list[int]) -> None:
    assert kept(pa.array([1, 2**62, None]), Filter("v", FilterOp(op), float("nan"))) == found


def by_size_then_nan(value: Any) -> tuple[bool, Any]:
    if isinstance(value, float) and math.isnan(value):
        return True, 0
    return False, Fraction(value) if isinstance(value, (int, float)) and abs(
        value
    ) < math.inf else value


floats = st.floats() | st.sampled_from([0.0, -0.0, 2.0**53, 2.0**53 + 2, 1e300])
against_floats = floats | huge | st.integers(2**53 - 3, 2**53 + 3) | st.integers(2**1024, 2**1025)


@given(st.lists(st.none() | floats), filters_of(against_floats))
def test_on_floats_nan_equals_nan_and_is_the_largest(
    values: list[float | None], each: Filter
) -> None:
    check(pa.array(values, pa.float64()), values, each, by_size_then_nan)


@given(st.lists(st.none() | st.floats(width=32)), filters_of(st.floats(width=32) | huge))
def test_single_floats_compare_exactly_with_integers(
    values: list[float | None], each: Filter
) -> None:
    check(pa.array(values, pa.float32()), values, each, by_size_then_nan)


def test_a_fraction_is_rounded_to_the_precision_of_the_column() -> None:
    values = pa.array(np.array([0.1, 0.5], np.float32))

    found = kept(values, Filter("v", FilterOp.EQ, 0.1))

    assert found == [0]


characters = st.text(alphabet="aAb%_\\.\né\U0001f600\uffff", max_size=5) | st.text(max_size=3)


@given(st.lists(st.none() | characters), filters_of(characters))
def test_text_compares_by_code_point(values: list[str | None], each: Filter) -> None:
    check(pa.array(values, pa.string()), values, each, lambda text: text)


def is_like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "%":
        return any(is_like(text[start:], rest) for start in range(len(text) + 1))
    if head == "\\":
        head, rest = rest[0], rest[1:]
        return text[:1] == head and is_like(text[1:], rest)
    return bool(text) and head in ("_", text[0]) and is_like(text[1:], rest)


patterns = st.lists(
    st.sampled_from(["%", "_", "a", "A", "b", ".", "\n", "é", "\U0001f600", r"\%", r"\_", r"\\"]),
    max_size=5,
).map("".join)


@given(st.lists(st.none() | characters), patterns)
def test_like_is_that_of_sql(values: list[str | None], pattern: str) -> None:
    expected = [i for i, text in enumerate(values) if text is not None and is_like(text, pattern)]

    assert kept(pa.array(values, pa.string()), Filter("v", FilterOp.LIKE, pattern)) == expected


days = st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.dates(date(2024, 1, 1), date(2024, 1, 9))


@given(st.lists(st.none() | days), filters_of(days.map(str)))
def test_dates_compare_with_iso_text(values: list[date | None], each: Filter) -> None:
    check(pa.array(values, pa.date32()), values, each, lambda day: str(day))


moments = st.datetimes(datetime(1999, 12, 31), datetime(2000, 1, 2))
zones = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))


def in_utc(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@given(st.data(), st.sampled_from(list(UNITS)), st.booleans())
def test_timestamps_compare_exactly_whatever_their_unit(
    data: st.DataObject, unit: str, zoned: bool
) -> None:
    step = timedelta(microseconds=max(10**6 // UNITS[unit], 1))
    start = datetime(2000, 1, 1, tzinfo=UTC if zoned else None)
    counts = data.draw(st.lists(st.none() | st.integers(-5, 5)))
    values = [None if n is None else start + n * step for n in counts]
    literals = moments.map(lambda m: m.isoformat()) | st.integers(-5, 5).map(
        lambda n: (start + n * step / 2).replace(tzinfo=None).isoformat(" ")
    )
    if zoned:
        literals = st.tuples(literals, zones).map(
            lambda pair: datetime.fromisoformat(pair[0]).replace(tzinfo=pair[1]).isoformat()
        )

    each = data.draw(filters_of(literals))

    check(pa.array(values, pa.timestamp(unit, "UTC" if zoned else None)), values, each, in_utc)


@given(st.lists(st.none() | st.booleans()), st.booleans(), st.booleans())
def test_booleans_are_equal_or_not(values: list[bool | None], wanted: bool, negated: bool) -> None:
    each = Filter("v", FilterOp.NEQ if negated else FilterOp.EQ, wanted)

    check(pa.array(values, pa.bool_()), values, each, lambda value: value)


def test_several_filters_are_anded() -> None:
    rows = pa.record_batch({"a": [1, 2, 3, None], "b": ["x", "x", "y", "x"]})
    filters = [Filter("a", FilterOp.GT, 1), Filter("b", FilterOp.EQ, "x")]

    found = compile_filters(filters, rows.schema).keep(rows)

    assert found.to_pylist() == [{"a": 2, "b": "x"}]


def test_without_filters_the_batch_itself_comes_back() -> None:
    rows = pa.record_batch({"a": [1]})

    assert compile_filters([], rows.schema).keep(rows) is rows


def test_an_unknown_column_is_told_with_its_nearest_names() -> None:
    schema = pa.schema([("amount", pa.int64()), ("account", pa.int64()), ("zip", pa.string())])

    with pytest.raises(UnknownColumn, match=r"`Amuont`.*Did you mean `amount`") as caught:
        compile_filters([Filter("Amuont", FilterOp.EQ, 1)], schema)

    assert caught.value.details == {"column": "Amuont"}


COLUMNS = pa.schema(
    [
        ("text", pa.string()),
        ("whole", pa.int64()),
        ("money", pa.decimal128(12, 2)),
        ("float", pa.float64()),
        ("day", pa.date32()),
        ("time", pa.timestamp("us")),
        ("zoned", pa.timestamp("us", "UTC")),
        ("flag", pa.bool_()),
        ("list", pa.list_(pa.int64())),
    ]
)

WRONG: list[tuple[str, FilterOp, Scalar | tuple[Scalar, ...], str]] = [
    ("text", FilterOp.EQ, 5, "text, in quotes"),
    ("text", FilterOp.LIKE, "50\\", "ends in the escape character"),
    ("text", FilterOp.EQ, ("a", "b"), "one value, not a list"),
    ("whole", FilterOp.EQ, "abc", "a number"),
    ("whole", FilterOp.EQ, True, "a number"),
    ("whole", FilterOp.LIKE, "1%", "is not text"),
    ("whole", FilterOp.BETWEEN, 5, "takes a list"),
    ("whole", FilterOp.BETWEEN, (1, 2, 3), "takes 2 values, not 3"),
    ("whole", FilterOp.IN, (), "at least one value"),
    ("whole", FilterOp.IN, 5, "takes a list"),
    ("money", FilterOp.GT, "1e3", "a number"),
    ("float", FilterOp.LIKE, "1%", "is not text"),
    ("float", FilterOp.EQ, "many", "a number"),
    ("day", FilterOp.EQ, "2024-02-30", "a date like"),
    ("day", FilterOp.EQ, "2024-01-31T10:00", "a date like"),
    ("day", FilterOp.EQ, 20240131, "a date like"),
    ("time", FilterOp.EQ, "2024-01-31T10:00Z", "without a zone"),
    ("zoned", FilterOp.EQ, "2024-01-31T10:00", "with its zone"),
    ("flag", FilterOp.GT, True, "eq, neq and in"),
    ("flag", FilterOp.EQ, 1, "true or false"),
    ("list", FilterOp.EQ, 1, "filters cannot compare"),
]


@pytest.mark.parametrize(("column", "op", "value", "says"), WRONG)
def test_what_a_column_does_not_take_is_an_error_that_says_what_it_takes(
    column: str, op: FilterOp, value: Scalar | tuple[Scalar, ...], says: str
) -> None:
    with pytest.raises(InvalidFilter, match=says) as caught:
        compile_filters([Filter(column, op, value)], COLUMNS)

    assert f"`{column}`" in str(caught.value)


def test_all_faults_of_filters_are_found_at_once() -> None:
    filters = [
        Filter("whole", FilterOp.EQ, 1),
        Filter("flag", FilterOp.GT, True),
        Filter("lists", FilterOp.EQ, 1),
    ]

    faults = filter_faults(filters, COLUMNS)

    assert [(index, fault.code) for index, fault in faults] == [
        (1, "invalid_filter"),
        (2, "unknown_column"),
    ]


@pytest.mark.parametrize(
    ("op", "value", "may"),
    [
        (FilterOp.EQ, 4, False),
        (FilterOp.EQ, 5, True),
        (FilterOp.GT, 9, False),
        (FilterOp.GTE, 9, True),
        (FilterOp.LT, 5, False),
        (FilterOp.LTE, 5, True),
        (FilterOp.BETWEEN, (10, 12), False),
        (FilterOp.IN, (1, 2, 10), False),
        (FilterOp.IN, (1, 7), True),
        (FilterOp.NEQ, 5, True),
    ],
)
def test_bounds_rule_out_what_cannot_hold(
    op: FilterOp, value: Scalar | tuple[Scalar, ...], may: bool
) -> None:
    row_filter = compile_filters([Filter("v", op, value)], pa.schema([("v", pa.int64())]))

    assert row_filter.may_keep({"v": (pa.scalar(5), pa.scalar(9))}) is may
    assert row_filter.may_keep({})
