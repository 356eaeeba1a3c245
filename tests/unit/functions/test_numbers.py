from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.functions.numbers import of_decimals, of_moments, of_numbers

SAMPLES: dict[pa.DataType, list[Any]] = {
    pa.int8(): [1, -128, 127],
    pa.int16(): [1, -(2**15)],
    pa.int32(): [1, -(2**31)],
    pa.int64(): [1, -(2**63), 2**63 - 1],
    pa.uint8(): [1, 255],
    pa.uint16(): [1, 2**16 - 1],
    pa.uint32(): [1, 2**32 - 1],
    pa.uint64(): [1, 2**63, 2**64 - 1],
    pa.decimal32(9, 2): [Decimal("-9999999.99")],
    pa.decimal64(18, 2): [Decimal("-9999999999999999.99")],
    pa.decimal128(18, 2): [Decimal("9999999999999999.99"), Decimal("-0.01")],
    pa.decimal128(19, 0): [Decimal(2**63), Decimal(-(2**63)), Decimal(-1)],
    pa.decimal128(38, 0): [Decimal("-" + "9" * 38), Decimal(2**64)],
    pa.decimal128(3, -2): [Decimal(-99900)],
    pa.decimal256(76, 0): [Decimal("-" + "9" * 76), Decimal(-1)],
    pa.float32(): [0.5, -3.0],
    pa.float64(): [0.1, -1e300, 5e-324],
}


@pytest.mark.parametrize("data_type", SAMPLES, ids=str)
def test_a_slice_of_an_array_is_read_as_its_numbers(data_type: pa.DataType) -> None:
    values = SAMPLES[data_type]
    array = pa.array([None, values[0], *values, values[0]], data_type).slice(2, len(values))

    numbers = of_numbers(array)

    assert numbers.fractions() == [Fraction(str(value)) for value in values]
    assert numbers.is_negative().tolist() == [value < 0 for value in values]
    assert numbers.rows == len(values)


@pytest.mark.parametrize("data_type", SAMPLES, ids=str)
def test_a_double_near_a_number_is_as_near_as_it_says(data_type: pa.DataType) -> None:
    values = SAMPLES[data_type]

    numbers = of_numbers(pa.array(values, data_type))

    for near, exact in zip(numbers.approximate().tolist(), numbers.fractions(), strict=True):
        bound = Fraction(numbers.error) * abs(exact) + Fraction(numbers.tiny)
        assert abs(Fraction(near) - exact) <= bound


@pytest.mark.parametrize("precision", [19, 38])
def test_wide_decimals_are_narrowed_only_when_all_of_them_fit(precision: int) -> None:
    data_type = pa.decimal128(precision, 0)
    small, large = [2**63 - 1, -(2**63)], [1, 2**63]

    narrow = of_decimals(pa.array(small, data_type)).narrowed()
    wide = of_decimals(pa.array(large, data_type)).narrowed()

    assert narrow.units.tolist() == small
    assert wide.units.ndim == 2
    assert wide.fractions() == large


def test_a_slice_of_moments_is_read_as_seconds() -> None:
    days = pa.array([None, date(1970, 1, 2), date(1969, 12, 31)])
    moments = pa.array([None, datetime(1970, 1, 1, 0, 0, 1, 5)], pa.timestamp("us"))

    assert of_moments(days.slice(1)).fractions() == [86_400, -86_400]
    assert of_moments(days.cast(pa.date64()).slice(2)).fractions() == [-86_400]
    assert of_moments(moments.slice(1)).fractions() == [Fraction(1_000_005, 10**6)]
