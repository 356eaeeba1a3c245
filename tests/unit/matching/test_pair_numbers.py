"""Pairs as single numbers, with which they are sorted and told apart."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.matching.row_ids.pair_numbers import Pairs, Scale

TRIPLES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(7, 10), st.integers(1 << 40, (1 << 40) + 3)),
    min_size=1,
)


def pairs_of(triples: list[tuple[int, int, int]]) -> Pairs:
    rows, left, right = zip(*triples, strict=True)
    return Pairs(np.array(rows, np.int64), np.array(left, np.uint64), np.array(right, np.uint64))


def triples_of(pairs: Pairs) -> list[tuple[int, int, int]]:
    columns = (pairs.result_row.tolist(), pairs.left.tolist(), pairs.right.tolist())
    return list(zip(*columns, strict=True))


@given(TRIPLES, TRIPLES)
def test_numbers_stand_for_each_pair_once_in_order(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    parts = [pairs_of(one), pairs_of(other)]
    scale = Scale.over(parts)
    assert scale is not None

    found = scale.pairs(scale.distinct(parts))

    assert triples_of(found) == sorted({*one, *other})


@given(TRIPLES)
def test_result_rows_of_which_all_go_with_all_are_found_and_the_others_left(
    triples: list[tuple[int, int, int]],
) -> None:
    pairs = pairs_of(triples)
    scale = Scale.over([pairs])
    assert scale is not None

    rows, left, right, rest = scale.complete(scale.distinct([pairs]))

    whole = []
    for row, group in groupby(sorted(set(triples)), key=lambda one: one[0]):
        listed = [(a, b) for _, a, b in group]
        lefts, rights = sorted({a for a, _ in listed}), sorted({b for _, b in listed})
        if len(listed) == len(lefts) * len(rights):
            whole.append((row, lefts, rights))
    named = [
        (row, *(side.numbers[side.rows == place].tolist() for side in (left, right)))
        for place, row in enumerate(rows.tolist())
    ]
    assert named == whole
    made = [(row, a, b) for row, lefts, rights in whole for a, b in product(lefts, rights)]
    assert sorted([*made, *triples_of(rest)]) == sorted(set(triples))


def test_pairs_that_are_too_far_apart_for_one_number_have_no_scale() -> None:
    far = pairs_of([(0, 0, 0), (1, 1 << 32, 1 << 31)])

    assert Scale.over([far]) is None
