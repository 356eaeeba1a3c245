"""Which keys that many rows share are told of, however the rows were divided."""

from __future__ import annotations

import itertools

from kalla_core.fragments.crowd import KEPT, Crowd, largest, telling

PLACEHOLDER = Crowd("l.ref = 'N/A'", 20, 30, placeholder=True)
HOT = Crowd("l.ref = 'A-1'", 200, 300, placeholder=False)


def test_a_placeholder_is_told_however_few_its_matches_are() -> None:
    assert telling([PLACEHOLDER], 1_000_000) == (PLACEHOLDER,)


def test_another_key_is_told_from_a_tenth_of_all_matches_on() -> None:
    assert telling([HOT], 10 * HOT.pairs) == (HOT,)
    assert telling([HOT], 10 * HOT.pairs + 1) == ()


def test_another_key_whose_rows_other_conditions_tell_apart_is_not_told() -> None:
    assert telling([HOT], HOT.pairs - 1) == ()


def test_the_largest_are_the_same_whatever_was_put_together_first() -> None:
    crowds = [
        Crowd(f"l.ref = '{n}'", 100 + n % 3, 100, placeholder=n % 2 == 0) for n in range(4 * KEPT)
    ]
    expected = largest(crowds)

    for cut, step in itertools.product(range(len(crowds)), (1, -1)):
        first, second = crowds[:cut][::step], crowds[cut:][::step]
        assert largest([*largest(second), *largest(first)]) == expected
    assert len(expected) == 2 * KEPT
