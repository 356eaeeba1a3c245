"""Types are told from texts as the contract says."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.sources.csv.infer import infer_type

TEXT = pa.string()
NAIVE, ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")


def inferred(values: Sequence[str | None]) -> pa.DataType:
    data = [None if value is None else value.encode() for value in values]
    return infer_type(pa.chunked_array([pa.array(data, pa.binary())]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], pa.null()),
        ([None, None], pa.null()),
        (["0", "-1", "42", None], pa.int64()),
        (["9" * 18, "-" + "9" * 18], pa.int64()),
        (["9" * 19], TEXT),
        (["00123"], TEXT),
        (["1", "00123"], TEXT),
        (["+5"], TEXT),
        (["-0"], TEXT),
        ([" 5"], TEXT),
        (["5 "], TEXT),
        (["1,000"], TEXT),
        (["1e3"], TEXT),
        (["0x10"], TEXT),
        (["1", ""], TEXT),
        (["NaN", "1.5"], TEXT),
        (["1.5"], pa.decimal128(18, 1)),
        (["1", "1.25", "-3"], pa.decimal128(18, 2)),
        ([".5", "-.25"], pa.decimal128(18, 2)),
        (["-0", "0.0"], pa.decimal128(18, 1)),
        (["5."], TEXT),
        (["01.5"], TEXT),
        (["1.5", "9" * 19], TEXT),
        (["1" * 13 + ".25"], pa.decimal128(18, 2)),
        (["1" * 14 + ".25"], pa.decimal128(38, 2)),
        (["1" * 36 + ".25"], pa.decimal128(38, 2)),
        (["1" * 37 + ".25"], pa.decimal256(76, 2)),
        (["1" * 75 + ".25"], TEXT),
        (["2024-01-31", "0001-01-01"], pa.date32()),
        (["2024-02-30"], TEXT),
        (["2024-1-31"], TEXT),
        (["2024-01-31"] * 300 + ["2024-1-31"], TEXT),
        (["2024-01-31"] * 300 + ["+024-01-31"], TEXT),
        (["20240131"], pa.int64()),
        (["31.01.2024"], TEXT),
        (["2024-01-31 10:00", "2024-01-31T10:00:00.123456"], NAIVE),
        (["2024-01-31T25:00:00"], TEXT),
        (["2024-01-31T10:00:00.1234567"], TEXT),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00:00.5+02:00"], ZONED),
        (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00"], TEXT),
        (["2024-01-31", "2024-01-31T10:00:00"], TEXT),
        (["true", "false", None], pa.bool_()),
        (["True", "FALSE"], pa.bool_()),
        (["true", "yes"], TEXT),
        (["1", "true"], TEXT),
        (["7", "seven"], TEXT),
        (["1\n"], TEXT),
    ],
)
def test_a_column_has_the_type_that_all_of_its_values_are_written_in(
    values: list[str | None], expected: pa.DataType
) -> None:
    assert inferred(values) == expected


@given(st.lists(st.integers(-(10**18) + 1, 10**18 - 1), min_size=1))
def test_canonical_integers_are_integers(values: list[int]) -> None:
    assert inferred([str(value) for value in values]) == pa.int64()


@given(st.lists(st.decimals(-(10**30), 10**30, places=3), min_size=1))
def test_every_number_of_the_sample_fits_the_decimal(values: list[Decimal]) -> None:
    kind = inferred([f"{value:f}" for value in values])

    assert kind.scale == 3
    assert pa.array(values, kind).to_pylist() == values
