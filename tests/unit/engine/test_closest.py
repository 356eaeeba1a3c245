"""The nearest candidate, against a plain search through all of them."""

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.reasons.closest import (
    NONE,
    Ints,
    Keyed,
    Measures,
    comparable,
    nearest,
    nearest_of_pairs,
)
from tests.support.chance import often

rows = st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(-20, 20)), max_size=30)


def _keyed(rows: list[tuple[int, int | None]], kind: type = np.int64) -> Keyed:
    return Keyed(
        codes=np.array([code for code, _ in rows], dtype=np.int64),
        values=np.array([value or 0 for _, value in rows], dtype=kind),
        known=np.array([value is not None for _, value in rows], dtype=bool),
    )


def _searched(
    wanted: tuple[int, int | None], offered: list[tuple[int, int | None]], rank: list[int]
) -> int:
    code, value = wanted
    if value is None:
        return NONE
    near = [
        (abs(value - other), rank[at], at)
        for at, (other_code, other) in enumerate(offered)
        if other_code == code and other is not None
    ]
    return min(near)[2] if near else NONE


@given(rows, rows, st.randoms(use_true_random=False), st.sampled_from([np.int64, np.float64]))
@settings(max_examples=often(300), deadline=None)
def test_the_search_finds_what_a_look_at_all_of_them_finds(
    wanted: list[tuple[int, int | None]],
    offered: list[tuple[int, int | None]],
    random: object,
    kind: type,
) -> None:
    rank = list(range(len(offered)))
    random.shuffle(rank)  # type: ignore[attr-defined]

    found = nearest(_keyed(wanted, kind), _keyed(offered, kind), np.array(rank, dtype=np.int64))

    assert found.tolist() == [_searched(row, offered, rank) for row in wanted]


few = st.none() | st.integers(-9, 9) | st.sampled_from([2**63 - 1, -(2**63)])


def _measures(values: list[int | None], kind: type) -> Measures:
    known = np.array([value is not None for value in values], dtype=bool)
    return Measures(np.array([value or 0 for value in values], dtype=kind), known)


@given(
    st.lists(st.tuples(few, st.lists(few, min_size=1, max_size=5)), min_size=1, max_size=9),
    st.sampled_from([np.int64, np.float64]),
)
@settings(max_examples=often(200), deadline=None)
def test_of_pairs_those_are_marked_that_none_is_nearer_than(
    rows: list[tuple[int | None, list[int | None]]], kind: type
) -> None:
    pairs = [(ours, theirs) for ours, offers in rows for theirs in offers]

    found = nearest_of_pairs(
        _measures([ours for ours, _ in pairs], kind),
        _measures([theirs for _, theirs in pairs], kind),
        np.array([len(offers) for _, offers in rows]),
    )

    assert found is not None
    wanted = []
    for ours, offers in rows:
        far = [None if None in (ours, one) else abs(kind(ours) - kind(one)) if kind is np.float64
               else abs(ours - one) for one in offers]  # fmt: skip
        least = min((one for one in far if one is not None), default=None)
        wanted += [one is not None and one == least for one in far]
    assert found.tolist() == wanted


def test_of_pairs_of_decimals_beyond_64_bits_nothing_is_told() -> None:
    exact = pa.array([Decimal(10) ** 30])
    wide = Measures(np.zeros(1, np.int64), np.ones(1, bool), exact)

    assert nearest_of_pairs(wide, wide, np.ones(1, np.int64)) is None


def test_differences_beyond_63_bits_are_compared_exactly() -> None:
    wanted = Keyed(np.zeros(1, np.int64), np.array([2**63 - 1]), np.ones(1, bool))
    offered = Keyed(np.zeros(2, np.int64), np.array([-(2**63), 0]), np.ones(2, bool))

    found = nearest(wanted, offered, np.arange(2))

    assert found.tolist() == [1]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (pa.array([1, None]), pa.array([7], pa.int16()), ([1, 0], [7])),
        (
            pa.array([Decimal("1.5")], pa.decimal128(5, 1)),
            pa.array([Decimal("1.50"), Decimal("-2.25")], pa.decimal128(12, 2)),
            ([150], [150, -225]),
        ),
        (pa.array([Decimal("2.00")]), pa.array([3]), ([200], [300])),
        (pa.array([date(1970, 1, 3)]), pa.array([date(1969, 12, 31)]), ([2], [-1])),
        (
            pa.array([date(1970, 1, 2)]),
            pa.array([datetime(1970, 1, 1, 0, 0, 1)], pa.timestamp("ms")),
            ([86_400_000_000], [1_000_000]),
        ),
    ],
)
def test_exact_types_are_compared_as_integers(
    left: pa.Array, right: pa.Array, expected: tuple[list[int], list[int]]
) -> None:
    a, b = comparable(left, right)

    assert (a.values.tolist(), b.values.tolist()) == expected
    assert a.values.dtype == b.values.dtype == np.int64
    assert a.known.tolist() == left.is_valid().to_pylist()


large = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.none() | st.integers(-9, 9).map(lambda n: Decimal(10**30 + n)),
    ),
    min_size=1,
    max_size=20,
)


@given(large, large)
@settings(max_examples=often(200), deadline=None)
def test_what_does_not_fit_64_bits_is_compared_to_the_last_digit(
    wanted: list[tuple[int, Decimal | None]], offered: list[tuple[int, Decimal | None]]
) -> None:
    def column(rows: list[tuple[int, Decimal | None]]) -> pa.Array:
        return pa.array([value for _, value in rows], pa.decimal128(38, 2))

    def codes(rows: list[tuple[int, Decimal | None]]) -> Ints:
        return np.array([code for code, _ in rows], dtype=np.int64)

    mine, others = comparable(column(wanted), column(offered))
    rank = list(range(len(offered)))
    found = nearest(mine.keyed(codes(wanted)), others.keyed(codes(offered)), np.array(rank))

    plain = [[(c, None if v is None else int(v)) for c, v in rows] for rows in (wanted, offered)]
    assert found.tolist() == [_searched(row, plain[1], rank) for row in plain[0]]


def test_only_what_is_wider_than_any_decimal_is_compared_as_floats() -> None:
    huge = pa.array([Decimal(10) ** 75], pa.decimal256(76, 0))

    a, b = comparable(huge, pa.array([1]))

    assert a.values.dtype == b.values.dtype == np.float64
    assert a.values[0] > b.values[0]


def test_nan_is_not_a_value_to_be_near_to() -> None:
    measures, _ = comparable(pa.array([1.0, float("nan"), None]), pa.array([1.0]))

    assert measures.known.tolist() == [True, False, False]
