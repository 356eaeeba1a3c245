import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.functions import call, column

F16, F32, F64, I64, U64 = pa.float16(), pa.float32(), pa.float64(), pa.int64(), pa.uint64()
MONEY, HUGE = pa.decimal128(12, 2), pa.decimal256(76, 0)


def answer(function: str, *typed: tuple[Any, pa.DataType]) -> bool | None:
    found: list[bool | None] = call(
        function, *(column(data_type, [value]) for value, data_type in typed)
    )
    return found[0]


def money(text: str) -> tuple[Decimal, pa.DataType]:
    return Decimal(text), MONEY


def decimal(text: str, data_type: pa.DataType) -> tuple[Decimal, pa.DataType]:
    return Decimal(text), data_type


@pytest.mark.parametrize(("b", "match"), [("100.02", True), ("100.03", False), ("99.98", True)])
def test_the_boundary_belongs_to_the_tolerance(b: str, match: bool) -> None:
    exact = answer("tolerance_match", money("100.00"), money(b), money("0.02"))
    floating = answer("tolerance_match", (100.0, F64), (float(b), F64), (0.02, F64))
    single = answer("tolerance_match", (100.0, F32), (float(b), F32), (0.02, F32))
    mixed = answer("tolerance_match", (100.0, F32), money(b), (0.02, F64))

    assert (exact, floating, single, mixed) == (match, match, match, match)


@pytest.mark.parametrize(
    ("a", "b", "t", "match"),
    [
        ((2**53 + 1, I64), (2.0**53, F64), (1, I64), True),
        ((2**53 + 2, I64), (2.0**53, F64), (1, I64), False),
        ((2**63 - 1, I64), (-(2**63), I64), (2**64 - 1, U64), True),
        ((2**63 - 1, I64), (-(2**63), I64), (2**64 - 2, U64), False),
        ((2**64 - 1, U64), (-1, I64), (2**63 - 1, I64), False),
        ((2**64 - 1, U64), (2**64 - 2, U64), (1, pa.int8()), True),
        (
            decimal("9" * 38, pa.decimal128(38, 0)),
            money("0.01"),
            decimal("9" * 38, pa.decimal128(38, 0)),
            True,
        ),
        (
            decimal("9" * 38, pa.decimal128(38, 0)),
            money("-0.01"),
            decimal("9" * 38, pa.decimal128(38, 0)),
            False,
        ),
        (
            decimal("9" * 76, HUGE),
            decimal("-" + "9" * 76, HUGE),
            (1, I64),
            False,
        ),
        (decimal("0." + "1" * 76, pa.decimal256(76, 76)), (1, I64), (1, I64), True),
        (
            decimal("1500", pa.decimal128(2, -2)),
            (1490, I64),
            decimal("10", pa.decimal128(1, -1)),
            True,
        ),
        ((0.1 + 0.2, F64), (0.3, F64), (0.0, F64), False),
        ((0.1 + 0.2, F64), money("0.30"), (4e-17, F64), True),
        ((0.1 + 0.2, F64), money("0.30"), (3e-17, F64), False),
        ((0.1, F32), (0.1, F64), (0, I64), True),
        ((0.1, F16), decimal("0.1", pa.decimal64(2, 1)), (0, I64), True),
        ((6e14 + 0.125, F64), (6 * 10**14, I64), decimal("0.1", pa.decimal32(1, 1)), True),
        ((0.1, F32), (0.10000000149011612, F64), (0, I64), False),
        ((1.2345678901234566e35, F64), decimal("12345678901234566e19", HUGE), (0, I64), True),
        ((1.2345678901234566e35, F64), decimal("12345678901234567e19", HUGE), (1, I64), False),
        ((1e45, F64), decimal("1e45", HUGE), (0, I64), True),
        ((1.2345678901234567e-25, F64), (0, I64), (1.2345678901234565e-25, F64), False),
        ((1e300, F64), (1e300, F64), (5e-324, F64), True),
        ((1.7e308, F64), (-1.7e308, F64), (1.7e308, F64), False),
        ((1e-45, F32), (0, I64), (1.2e-45, F64), True),
        ((-0.0, F64), (0, I64), (-0.0, F64), True),
        ((1e22, F64), decimal("1e22", pa.decimal128(38, 2)), (0, I64), True),
        ((1e23, F64), decimal("1e23", pa.decimal128(38, 2)), (0, I64), True),
    ],
)
def test_numbers_are_compared_as_they_are_written(
    a: tuple[Any, pa.DataType], b: tuple[Any, pa.DataType], t: tuple[Any, pa.DataType], match: bool
) -> None:
    assert answer("tolerance_match", a, b, t) is match
    assert answer("tolerance_match", b, a, t) is match


@pytest.mark.parametrize("function", ["tolerance_match", "tolerance_pct"])
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("data_type", [F16, F32, F64], ids=str)
def test_nothing_is_near_what_is_not_a_finite_number(
    function: str, odd: float, data_type: pa.DataType
) -> None:
    one, odd_one = (1.0, data_type), (odd, data_type)

    assert answer(function, odd_one, one, one) is False
    assert answer(function, one, odd_one, one) is False
    assert answer(function, one, one, odd_one) is False
    assert answer(function, odd_one, odd_one, one) is False


@pytest.mark.parametrize("function", ["tolerance_match", "tolerance_pct"])
def test_a_negative_tolerance_matches_nothing(function: str) -> None:
    zero = money("0.00")

    assert answer(function, zero, zero, money("-0.01")) is False
    assert answer(function, zero, zero, (-1e-300, F64)) is False
    assert answer(function, zero, zero, (-1, pa.int8())) is False
    assert answer(function, zero, zero, decimal("-1e-76", pa.decimal256(76, 76))) is False


@pytest.mark.parametrize("function", ["tolerance_match", "tolerance_pct"])
@pytest.mark.parametrize("data_type", [MONEY, pa.decimal256(76, 2), I64, U64, F32, F64], ids=str)
def test_null_beside_anything_is_null(function: str, data_type: pa.DataType) -> None:
    here, gone = column(data_type, [1, 1, 1, None]), column(data_type, [1, None, 1, None])
    tolerance = column(data_type, [1, 1, None, None])

    assert call(function, here, gone, tolerance) == [True, None, None, None]
    assert call(function, here, pa.nulls(4), tolerance) == [None] * 4
    assert call(function, pa.nulls(4), pa.nulls(4), pa.nulls(4)) == [None] * 4


def test_what_lies_below_a_null_does_not_matter() -> None:
    words = np.full((2, 2), -(2**62), np.int64)
    words[1] = [100, 0]
    bits = pa.py_buffer(b"\x02")
    a = pa.Array.from_buffers(MONEY, 2, [bits, pa.py_buffer(words)])
    floats = pa.Array.from_buffers(F64, 2, [bits, pa.py_buffer(np.array([math.nan, 1.0]))])

    assert call("tolerance_match", a, floats, pa.array([0, 0])) == [None, True]


def test_a_share_is_of_the_first_number() -> None:
    one_in_hundred = money("0.01")

    assert answer("tolerance_pct", money("100.00"), money("101.00"), one_in_hundred) is True
    assert answer("tolerance_pct", money("100.00"), money("101.01"), one_in_hundred) is False
    assert answer("tolerance_pct", money("101.01"), money("100.00"), one_in_hundred) is True
    assert answer("tolerance_pct", money("-100.00"), money("-99.00"), one_in_hundred) is True
    assert answer("tolerance_pct", money("0.00"), money("0.01"), (1e300, F64)) is False
    assert answer("tolerance_pct", (100.0, F64), (100.07, F64), (0.0007, F64)) is True


@pytest.mark.parametrize("data_type", [MONEY, pa.decimal128(38, 2), pa.decimal256(76, 2)], ids=str)
def test_a_slice_of_a_column_is_read_from_where_it_starts(data_type: pa.DataType) -> None:
    a = column(data_type, [Decimal(number) for number in (9, 9, 9, 1, 2, 3)]).slice(3)
    b = column(data_type, [Decimal(number) for number in (7, 1, 3, 3)]).slice(1)
    t = column(I64, [None, 0, 0, 1]).slice(1)

    assert call("tolerance_match", a, b, t) == [True, False, True]
    assert call("tolerance_match", a.slice(3), b.slice(3), t.slice(3)) == []


@pytest.mark.parametrize("data_type", [pa.int8(), pa.int16(), I64, U64, F16, F32, F64], ids=str)
def test_a_slice_of_plain_numbers_too(data_type: pa.DataType) -> None:
    a = column(data_type, [9, 9, 1, 2, 3]).slice(2)
    b = column(data_type, [8, 1, 3, 3]).slice(1)

    assert call("tolerance_match", a, b, column(I64, [0, 0, 0])) == [True, False, True]


def test_numbers_from_a_dictionary_are_its_values() -> None:
    amounts = pa.array([Decimal("1.00"), Decimal("2.00"), None], MONEY).dictionary_encode()

    assert call("tolerance_match", amounts, pa.array([1.0, 1.0, 1.0]), pa.array([0, 0, 0])) == [
        True,
        False,
        None,
    ]


@pytest.mark.parametrize("floating", [F32, F64], ids=str)
def test_many_floats_on_the_boundary_are_decided_like_their_cents(floating: pa.DataType) -> None:
    random = np.random.default_rng(7)
    cents = random.integers(-(10**6), 10**6, 20_000)
    other = cents + random.integers(-3, 4, 20_000)
    tolerance = column(pa.decimal128(2, 2), [Decimal("0.02")] * 20_000)

    answers = call(
        "tolerance_match",
        pa.array(cents / 100, floating),
        pa.array(other / 100, floating),
        tolerance,
    )

    assert answers == (abs(cents - other) <= 2).tolist()


def test_floats_with_all_their_digits_are_decided_like_their_text() -> None:
    random = np.random.default_rng(7)
    a = random.uniform(0, 1000, 2_000)
    b = np.nextafter(a, random.choice([-np.inf, np.inf], 2_000))
    apart = [
        abs(Decimal(repr(x)) - Decimal(repr(y)))
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]

    exactly = pa.array(apart, pa.decimal128(30, 20))
    less = pa.array([gap - Decimal("1e-20") for gap in apart], pa.decimal128(30, 20))

    assert all(call("tolerance_match", pa.array(a), pa.array(b), exactly))
    assert not any(call("tolerance_match", pa.array(a), pa.array(b), less))
