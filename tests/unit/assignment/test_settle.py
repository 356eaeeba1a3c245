import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kalla_core.assignment import settle as settling
from kalla_core.assignment.components import pair_components
from kalla_core.assignment.settle import ACCEPTED, LEFT, TIED, Candidates, Places, settle
from tests.support.best_by_hand import ByHand, Pair
from tests.support.chance import often

CARDINALITIES = {
    "1:1": Places(True, True),
    "1:N": Places(False, True),
    "N:1": Places(True, False),
    "N:M": Places(False, False),
}


A_ROW_THAT_GOES_WITH_A_TIE_OF_A_BETTER_RANK = [
    Pair(left=0, right=0, rank=1, reach=1, order=0),
    Pair(left=0, right=1, rank=0, reach=1, order=1),
    Pair(left=0, right=2, rank=0, reach=1, order=2),
    Pair(left=1, right=0, rank=1, reach=1, order=3),
]


@st.composite
def candidates(draw: st.DrawFn) -> list[Pair]:
    rows, ranks = draw(st.integers(1, 7)), draw(st.integers(1, 6))
    number = st.integers(0, rows - 1)
    pairs = sorted(draw(st.sets(st.tuples(number, number), max_size=26)))
    values = sorted(draw(st.lists(st.integers(0, 20), min_size=ranks, max_size=ranks)))
    margin = draw(st.integers(0, 4))
    reach = [
        max(k for k in range(ranks) if k == i or values[k] - values[i] < margin)
        for i in range(ranks)
    ]
    order = draw(st.permutations(range(len(pairs))))
    given_ranks = draw(
        st.lists(st.integers(0, ranks - 1), min_size=len(pairs), max_size=len(pairs))
    )
    return [
        Pair(left, right, rank, reach[rank], place)
        for (left, right), rank, place in zip(pairs, given_ranks, order, strict=True)
    ]


def as_arrays(pairs: list[Pair]) -> Candidates:
    columns = [(p.left, p.right, p.rank, p.reach, p.order) for p in pairs]
    arrays = np.array(columns, dtype=np.int64).reshape(len(pairs), 5)
    return Candidates(*(np.ascontiguousarray(arrays[:, n]) for n in range(5)))


@pytest.mark.parametrize("cardinality", CARDINALITIES)
@pytest.mark.parametrize("hold", [True, False], ids=["hold", "first"])
@pytest.mark.parametrize("rounds", [0, 1, 64])
@settings(max_examples=often(150), deadline=None)
@given(pairs=candidates())
@example(pairs=A_ROW_THAT_GOES_WITH_A_TIE_OF_A_BETTER_RANK)
def test_what_is_accepted_and_held_is_what_the_definition_says(pairs, cardinality, hold, rounds):
    places = CARDINALITIES[cardinality]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(settling, "_ROUNDS", rounds)

        settled = settle(as_arrays(pairs), places, hold=hold)

    accepted, ties = ByHand(places.one_left, places.one_right, hold).settle(pairs)
    assert {p for p, code in zip(pairs, settled.codes, strict=True) if code == ACCEPTED} == accepted
    held = {p for p, code in zip(pairs, settled.codes, strict=True) if code == TIED}
    assert held == (set().union(*ties) if hold else set())
    if hold:
        found = {}
        for pair, tie in zip(pairs, settled.ties, strict=True):
            found.setdefault(int(tie), set()).add(pair)
        found.pop(-1, None)
        assert set(map(frozenset, found.values())) == set(ties)
        assert all(pairs[tie] in group for tie, group in found.items())
    else:
        flagged = {p for p, tie in zip(pairs, settled.ties, strict=True) if tie >= 0} & accepted
        # What a tie takes in order is of its best rank; others of it may be matched later.
        first = {p for tie in ties for p in tie if p.rank == min(other.rank for other in tie)}
        assert flagged == first & accepted


@settings(max_examples=60, deadline=None)
@given(pairs=candidates(), data=st.data())
def test_what_is_accepted_does_not_depend_on_the_order_of_the_candidates(pairs, data):
    shuffled = data.draw(st.permutations(pairs))

    once = settle(as_arrays(pairs), Places(True, True), hold=True)
    again = settle(as_arrays(shuffled), Places(True, True), hold=True)

    assert dict(zip(pairs, once.codes, strict=True)) == dict(
        zip(shuffled, again.codes, strict=True)
    )


def test_candidates_that_each_wait_for_the_next_are_all_decided():
    # l0-r0 is best, then r0-l1, then l1-r1, ...: every second pair of the chain is a match.
    count = 1000
    links = np.arange(count, dtype=np.int64)
    chain = Candidates((links + 1) // 2, links // 2, links, links, links)

    settled = settle(chain, Places(True, True), hold=True)

    assert settled.codes.tolist() == [int(ACCEPTED), int(LEFT)] * (count // 2)


def test_a_crowd_of_equals_is_one_tie():
    left, right = (a.ravel().astype(np.int64) for a in np.meshgrid(np.arange(300), np.arange(300)))
    same = np.zeros(len(left), dtype=np.int64)

    settled = settle(
        Candidates(left, right, same, same, np.arange(len(left))), Places(True, True), hold=True
    )

    assert set(settled.codes.tolist()) == {int(TIED)}
    assert set(settled.ties.tolist()) == {0}


def test_no_candidates_are_no_matches():
    settled = settle(as_arrays([]), Places(True, True), hold=True)

    assert len(settled.codes) == len(settled.ties) == 0


@settings(max_examples=often(100), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30))
def test_pairs_hang_together_through_the_rows_they_share(pairs):
    left = np.array([one for one, _ in pairs], dtype=np.int64)
    right = np.array([other for _, other in pairs], dtype=np.int64)

    found = pair_components(left, right).tolist()

    expected = list(range(len(pairs)))
    for _ in pairs:
        for i, (l1, r1) in enumerate(pairs):
            for j, (l2, r2) in enumerate(pairs):
                if l1 == l2 or r1 == r2:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    assert found == expected
