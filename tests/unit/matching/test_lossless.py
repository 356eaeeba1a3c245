from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.matching.plans.lossless import common_type, loses_nothing

INTEGERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(),
    pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
]  # fmt: skip
decimals = st.integers(1, 18).flatmap(
    lambda precision: st.integers(0, precision).map(lambda scale: pa.decimal128(precision, scale))
)
types = st.sampled_from(INTEGERS) | decimals


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.int32(), pa.int64()),
        (pa.uint32(), pa.int64()),
        (pa.int32(), pa.decimal128(10, 0)),
        (pa.decimal128(12, 2), pa.decimal128(14, 3)),
        (pa.string(), pa.string_view()),
        (pa.float32(), pa.float64()),
    ],
)
def test_a_wider_type_of_the_same_kind_loses_nothing(
    before: pa.DataType, after: pa.DataType
) -> None:
    assert loses_nothing(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.int64(), pa.int32()),
        (pa.int64(), pa.float64()),
        (pa.int32(), pa.uint64()),
        (pa.int32(), pa.string()),
        (pa.decimal128(14, 3), pa.decimal128(14, 2)),
        (pa.decimal128(14, 2), pa.decimal128(14, 3)),
        (pa.decimal128(12, 2), pa.float64()),
        (pa.timestamp("us"), pa.date32()),
        (pa.string(), pa.int64()),
    ],
)
def test_a_cast_that_could_merge_values_or_fail_loses_something(
    before: pa.DataType, after: pa.DataType
) -> None:
    assert not loses_nothing(before, after)


@given(types, types, st.data())
def test_what_loses_nothing_comes_back_as_it_was(
    before: pa.DataType, after: pa.DataType, data: st.DataObject
) -> None:
    if not loses_nothing(before, after):
        return
    value = pa.array([data.draw(_extremes(before))], before)

    there = value.cast(after)

    assert Decimal(str(there[0].as_py())) == Decimal(str(value[0].as_py()))


def _extremes(kind: pa.DataType) -> st.SearchStrategy[object]:
    if pa.types.is_decimal(kind):
        most = Decimal(10**kind.precision - 1).scaleb(-kind.scale)
        return st.sampled_from([most, -most, Decimal(0)])
    signed = pa.types.is_signed_integer(kind)
    high = 2 ** (kind.bit_width - signed) - 1
    return st.sampled_from([high, -high - 1 if signed else 0])


@given(st.frozensets(types, min_size=1, max_size=4))
def test_a_common_type_takes_all_without_loss(found: frozenset[pa.DataType]) -> None:
    agreed = common_type(found)

    assert agreed is None or all(loses_nothing(one, agreed) for one in found)


def test_integers_of_all_widths_agree_on_the_widest() -> None:
    assert common_type(frozenset((pa.int16(), pa.int32(), pa.int64()))) == pa.int64()
    assert common_type(frozenset((pa.int64(), pa.uint64()))) == pa.decimal128(20, 0)


def test_decimals_agree_on_all_digits_of_both() -> None:
    found = frozenset((pa.decimal128(12, 4), pa.decimal128(14, 2)))

    assert common_type(found) == pa.decimal128(16, 4)


def test_unlike_kinds_agree_on_nothing() -> None:
    assert common_type(frozenset((pa.int64(), pa.float64()))) is None
    assert common_type(frozenset((pa.string(), pa.int64()))) is None
