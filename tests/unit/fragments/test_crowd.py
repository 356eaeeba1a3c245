"""Which keys that many rows share are told of, however the rows were divided."""

from __future__ import annotations

import itertools

from kalla_core.fragments.crowd import KEPT, Crowd, KeyCount, foreseen, largest, telling
from kalla_core.matching.sql.query import Side

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


def test_what_parts_count_of_a_key_is_added_up_before_it_is_weighed() -> None:
    part = KeyCount("l.ref = 'N/A'", 6, placeholder=True, fewest=1)
    lone = KeyCount("l.ref = '-'", 90, placeholder=True, fewest=1)

    found = foreseen({Side.LEFT: [part, lone, part], Side.RIGHT: [part, part]}, 1_000)

    assert found == (Crowd("l.ref = 'N/A'", 12, 12, placeholder=True),)


def test_a_placeholder_beside_other_columns_is_foreseen_from_as_many_rows_as_its_count_says() -> (
    None
):
    many, few = (KeyCount("l.ref = '-', day = 1", n, True, fewest=100) for n in (100, 99))

    assert len(foreseen({Side.LEFT: [many], Side.RIGHT: [many]}, 1_000)) == 1
    assert foreseen({Side.LEFT: [many], Side.RIGHT: [few]}, 1_000) == ()


def test_a_key_that_is_no_placeholder_is_foreseen_if_its_pairs_are_more_than_all_rows() -> None:
    key = KeyCount("l.ref = 'A-1'", 100, placeholder=False, fewest=1)
    both = {Side.LEFT: [key], Side.RIGHT: [key]}

    assert len(foreseen(both, 10_000)) == 1
    assert foreseen(both, 10_001) == ()
