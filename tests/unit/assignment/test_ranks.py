from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.assignment.ranks import (
    RankColumn,
    dense_ranks,
    is_ordered,
    reach_within,
)
from kalla_core.assignment.units import TooWide


def column(values, kind=None, descending=False) -> RankColumn:
    return RankColumn(pa.chunked_array([pa.array(values, kind)]), descending)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([], [0, 0, 0]),
        ([column([3, 1, 3])], [1, 0, 1]),
        ([column([3, None, 1], descending=True)], [0, 2, 1]),
        ([column([None, None, 1])], [1, 1, 0]),
        ([column([1, 1, 2]), column(["b", "a", "a"])], [1, 0, 2]),
        ([column([0.0, -0.0, float("nan")])], [0, 0, 1]),
        ([column([float("nan"), float("nan"), 5.0], descending=True)], [1, 1, 0]),
        ([column([Decimal("1.10"), Decimal("1.1"), Decimal("-1")])], [1, 1, 0]),
        ([column(["a", "b", "a"]), column([True, False, True])], [0, 1, 0]),
        ([column([None] * 3, pa.null())], [0, 0, 0]),
        ([column(["x", "y", "x"], pa.dictionary(pa.int32(), pa.string()))], [0, 1, 0]),
    ],
)  # fmt: skip
def test_candidates_are_ranked_by_their_columns_and_nulls_come_last(columns, expected):
    assert dense_ranks(columns, 3).tolist() == expected


@pytest.mark.parametrize(
    ("first", "margin", "expected"),
    [
        (column([10, 11, 13, 20]), "2", [1, 1, 2, 3]),
        (column([10, 11, 13, 20]), "2.5", [1, 2, 2, 3]),
        (column([10, 11, 13, 20]), "0", [0, 1, 2, 3]),
        (column([20, 13, 11, 10], descending=True), "2", [0, 1, 3, 3]),
        (column([0.95, 0.90, 0.87, 0.1], descending=True), "0.05", [0, 2, 2, 3]),
        (column([Decimal("1.00"), Decimal("1.01"), Decimal("1.03")]), "0.02", [1, 1, 2]),
        (column([1, 2, None, None]), "5", [1, 1, 2, 2]),
        (column([0.5, float("nan"), None]), "9", [0, 1, 2]),
    ],
)
def test_a_margin_reaches_to_what_is_nearer_than_it(first, margin, expected):
    ranks = dense_ranks([first], len(first.values))

    assert reach_within(ranks, first, Decimal(margin)).tolist() == expected


def test_a_second_column_does_not_lengthen_the_margin():
    first, second = column([None, None, 1, 1]), column([1, 2, 1, 2])
    ranks = dense_ranks([first, second], 4)

    reach = reach_within(ranks, first, Decimal("0.5"))

    assert dict(zip(ranks.tolist(), reach.tolist(), strict=True)) == {0: 1, 1: 1, 2: 3, 3: 3}


def test_a_margin_of_numbers_without_end_is_refused():
    wide = column([Decimal("1e30"), Decimal("2e30")], pa.decimal128(38, 2))

    with pytest.raises(TooWide):
        reach_within(np.array([0, 1]), wide, Decimal(1))


def test_lists_have_no_order():
    assert not is_ordered(pa.list_(pa.int64()))
    assert is_ordered(pa.dictionary(pa.int32(), pa.string()))
