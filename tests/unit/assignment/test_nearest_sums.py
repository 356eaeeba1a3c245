"""Nearest sums, against all sets of a few amounts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.assignment.nearest_sums import nearest_sums, widest_within
from kalla_core.assignment.subsets import FEW_AMOUNTS

AMOUNT = st.integers(-500, 500)


def by_hand(amounts: list[int], target: int, most_items: int) -> tuple[int, int]:
    """Return the least distance of a sum, and how many amounts make one as near at least."""
    sizes = range(1, min(most_items, len(amounts)) + 1)
    every = (some for size in sizes for some in combinations(amounts, size))
    return min((abs(sum(some) - target), len(some)) for some in every)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(AMOUNT, min_size=n, max_size=n))),
    st.integers(-2000, 2000),
    st.integers(1, 7),
)
def test_of_few_amounts_the_nearest_sum_is_that_of_all_sets(
    rows: list[list[int]], target: int, most_items: int
) -> None:
    if not rows:
        return
    targets = np.array([target + place for place in range(len(rows))], dtype=np.int64)

    found = list(nearest_sums(np.array(rows, dtype=np.int64), targets, most_items))

    for amounts, wanted, near in zip(rows, targets.tolist(), found, strict=True):
        assert near.above == sum(amounts[place] for place in near.places) - wanted
        assert (abs(near.above), len(near.places)) == by_hand(amounts, wanted, most_items)
        assert list(near.places) == sorted(set(near.places))


@given(
    st.lists(AMOUNT, min_size=FEW_AMOUNTS + 1, max_size=FEW_AMOUNTS + 2),
    st.integers(-2000, 9000),
    st.sampled_from([1, 3, 20]),
)
def test_of_more_amounts_it_is_so_too(amounts: list[int], target: int, most_items: int) -> None:
    rows, targets = np.array([amounts], dtype=np.int64), np.array([target], dtype=np.int64)

    (near,) = nearest_sums(rows, targets, most_items)

    assert near.above == sum(amounts[place] for place in near.places) - target
    assert (abs(near.above), len(near.places)) == by_hand(amounts, target, most_items)


@pytest.mark.parametrize("width", [3, 20])
def test_amounts_of_sixty_bits_do_not_overflow(width: int) -> None:
    large = (1 << 61) // width
    rows = np.full((1, width), large, dtype=np.int64)
    targets = np.array([-(1 << 62) + 1], dtype=np.int64)

    (near,) = nearest_sums(rows, targets, width)

    assert near.above == large + (1 << 62) - 1
    assert len(near.places) == 1


def test_who_is_looked_at_depends_on_all_targets_and_not_on_their_order() -> None:
    widths = np.array([2, 10, 3, 2, 10])

    assert widest_within(widths, most_sums=4 + 4 + 8) == 9
    assert widest_within(widths[::-1], most_sums=4 + 4 + 8) == 9
    assert widest_within(widths, most_sums=5) == 1
    assert widest_within(widths) == 10
    assert widest_within(np.full(100, 40)) == 40 - 1
    assert widest_within(np.zeros(0, dtype=np.int64)) == 0
