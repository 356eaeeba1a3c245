"""Assignments of the largest total against all that there are, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kalla_core.assignment import assign as module
from kalla_core.assignment.assign import Assigned, assign
from kalla_core.assignment.optimum import in_best
from kalla_core.assignment.settle import ACCEPTED, LEFT, TIED, Places

ONE_TO_ONE = Places(one_left=True, one_right=True)
Scored = tuple[int, int, int]


def ints(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def assigned(pairs: Sequence[Scored], places: Places = ONE_TO_ONE) -> Assigned:
    left, right, score = (ints([p[n] for p in pairs]) for n in range(3))
    return assign(left, right, score, places)


def assignments(pairs: Sequence[Scored], places: Places) -> Iterator[frozenset[int]]:
    """Yield every set of pairs above zero that uses no row too often."""
    positive = [n for n, pair in enumerate(pairs) if pair[2] > 0]
    chosen: list[int] = []

    def rest(start: int) -> Iterator[frozenset[int]]:
        yield frozenset(chosen)
        for at in range(start, len(positive)):
            left, right, _ = pairs[positive[at]]
            taken = (
                (places.one_left and pairs[n][0] == left)
                or (places.one_right and pairs[n][1] == right)
                for n in chosen
            )
            if not any(taken):
                chosen.append(positive[at])
                yield from rest(at + 1)
                chosen.pop()

    yield from rest(0)


def by_hand(pairs: Sequence[Scored], places: Places) -> list[int]:
    every = list(assignments(pairs, places))
    most = max(sum(pairs[n][2] for n in one) for one in every)
    best = [one for one in every if sum(pairs[n][2] for n in one) == most]
    in_all, in_some = frozenset.intersection(*best), frozenset.union(*best)
    codes = {n: ACCEPTED if n in in_all else TIED for n in in_some}
    return [int(codes.get(n, LEFT)) for n in range(len(pairs))]


def candidates(most: int, scores: st.SearchStrategy[int]) -> st.SearchStrategy[list[Scored]]:
    row = st.integers(0, most)
    return st.lists(st.tuples(row, row, scores), max_size=14, unique_by=lambda pair: pair[:2])


FEW = st.integers(-1, 4)
WIDE = st.sampled_from([1, 2, (1 << 61) - 1, 1 << 61, (1 << 61) + 1, (1 << 62) - 1])


@pytest.mark.parametrize(
    "places", [ONE_TO_ONE, Places(True, False), Places(False, True)], ids=["1:1", "N:1", "1:N"]
)
@settings(max_examples=60)
@given(pairs=st.one_of(candidates(4, FEW), candidates(7, FEW), candidates(3, WIDE)))
@example(pairs=[(0, 0, 3), (0, 1, 2), (1, 0, 2)])
@example(pairs=[(0, 0, 2), (0, 1, 1), (1, 0, 1)])
def test_accepted_is_what_all_best_assignments_have_and_tied_what_some_have(
    places: Places, pairs: list[Scored]
) -> None:
    made = assigned(pairs, places)

    assert made.codes.tolist() == by_hand(pairs, places)
    assert not made.beyond.any()
    tied = np.flatnonzero(made.codes == TIED)
    assert all(made.ties[made.ties == one].size > 1 for one in made.ties[tied])
    assert (made.ties >= 0).tolist() == (made.codes == TIED).tolist()


@settings(max_examples=15)
@given(size=st.integers(1, 5), data=st.data())
def test_a_matrix_is_solved_exactly(size: int, data: st.DataObject) -> None:
    is_solved_exactly(size, data)


@pytest.mark.full
@given(size=st.integers(6, 8), data=st.data())
def test_a_matrix_of_up_to_eight_rows_is_solved_exactly(size: int, data: st.DataObject) -> None:
    is_solved_exactly(size, data)


def is_solved_exactly(size: int, data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.integers(1, 9), min_size=size * size, max_size=size * size))
    left, right = (one.ravel() for one in np.indices((size, size)))
    score = ints(scores)

    codes, _ = in_best(left.astype(np.int64), right.astype(np.int64), score)

    # By dynamic programming over sets of columns: the best total, and that without each pair.
    best = _best_total(score.reshape(size, size))
    for pair in np.flatnonzero(codes == ACCEPTED):
        without = score.copy()
        without[pair] = 0
        assert _best_total(without.reshape(size, size)) < best
    for pair in np.flatnonzero(codes == LEFT):
        others = np.delete(np.delete(score.reshape(size, size), pair // size, 0), pair % size, 1)
        assert _best_total(others) + score[pair] < best


def _best_total(score: np.ndarray) -> int:
    totals = {0: 0}
    for row in score:
        following = dict(totals)
        for used, total in totals.items():
            for column, value in enumerate(row.tolist()):
                if not used >> column & 1:
                    now = used | 1 << column
                    following[now] = max(following.get(now, 0), total + value)
        totals = following
    return max(totals.values())


def test_the_order_of_candidates_changes_nothing() -> None:
    chance = np.random.default_rng(5)
    pairs = np.unique(chance.integers(0, 40, (300, 2)), axis=0)
    score = chance.integers(1, 6, len(pairs))
    order = chance.permutation(len(pairs))

    made = assign(pairs[:, 0], pairs[:, 1], score, ONE_TO_ONE)
    again = assign(pairs[order, 0], pairs[order, 1], score[order], ONE_TO_ONE)

    assert made.codes[order].tolist() == again.codes.tolist()
    assert len(np.unique(made.codes)) == 3


def test_what_hangs_together_in_too_many_rows_is_left_to_another_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    ring = [(n, n, 5) for n in range(3)] + [(n, (n + 1) % 3, 5) for n in range(3)]

    made = assigned([*ring, (7, 7, 1)])

    assert made.beyond.tolist() == [True] * 6 + [False]
    assert made.codes.tolist() == [LEFT] * 6 + [ACCEPTED]
