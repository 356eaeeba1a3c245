from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.assignment.subsets import MOST_SHOWN, subsets_that_fit, subsets_that_fit_each
from tests.support.chance import often


def by_hand(amounts, target, tolerance, most_items):
    for size in range(1, most_items + 1):
        fitting = [
            places
            for places in combinations(range(len(amounts)), size)
            if abs(sum(amounts[p] for p in places) - target) <= tolerance
        ]
        if fitting:
            return size, fitting
    return 0, []


@settings(max_examples=often(200), deadline=None)
@given(
    amounts=st.lists(st.integers(-50, 300), max_size=14),
    target=st.integers(-50, 1200),
    tolerance=st.integers(0, 3),
    most_items=st.integers(1, 14),
)
def test_the_smallest_sets_that_fit_are_those_that_trying_all_of_them_finds(
    amounts, target, tolerance, most_items
):
    found = subsets_that_fit(np.array(amounts, dtype=np.int64), target, tolerance, most_items)

    size, fitting = by_hand(amounts, target, tolerance, most_items)
    assert found.size == size
    assert found.count == min(len(fitting), MOST_SHOWN + 1)
    assert list(found.sets) == fitting[:MOST_SHOWN]


@settings(max_examples=often(100), deadline=None)
@given(data=st.data(), width=st.integers(1, 8), tolerance=st.integers(0, 3))
def test_many_targets_at_once_have_what_each_has_alone(data, width, tolerance):
    row = st.lists(st.integers(-9, 40), min_size=width, max_size=width)
    amounts = np.array(data.draw(st.lists(row, min_size=1, max_size=6)), dtype=np.int64)
    targets = np.array([data.draw(st.integers(-9, 120)) for _ in amounts], dtype=np.int64)
    most_items = data.draw(st.integers(1, 9))

    found = dict(subsets_that_fit_each(amounts, targets, tolerance, most_items))

    alone = (
        subsets_that_fit(some, target, tolerance, most_items)
        for some, target in zip(amounts, targets.tolist(), strict=True)
    )
    assert found == {number: fits for number, fits in enumerate(alone) if fits.count}


def test_of_forty_amounts_the_one_set_is_found():
    amounts = np.array([3**n for n in range(30)] + [10**15 + n for n in range(10)], dtype=np.int64)
    wanted = (3, 11, 17, 25, 29, 33)

    found = subsets_that_fit(amounts, int(amounts[list(wanted)].sum()), 0, 8)

    assert found.sets == (wanted,)
    assert (found.size, found.count) == (6, 1)


def test_a_million_sets_of_the_same_sum_are_several():
    found = subsets_that_fit(np.full(25, 100, dtype=np.int64), 800, 0, 8)

    assert (found.size, found.count) == (8, MOST_SHOWN + 1)


def test_more_amounts_than_can_be_tried_are_refused():
    with pytest.raises(ValueError, match="41 amounts"):
        subsets_that_fit(np.ones(41, dtype=np.int64), 3, 0, 8)
