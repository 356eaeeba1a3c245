from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.matching.row_ids.origins import Collected, Origin, RowId, silenced
from kalla_core.matching.row_ids.pair_numbers import Pairs
from kalla_core.matching.row_ids.pairs import PairFrame, expand
from kalla_core.matching.sql.query import Side
from tests.support.chance import often
from tests.unit.matching.derivations import hidden_columns, pairs_by_definition

L, R = Side.LEFT, Side.RIGHT


def expanded(
    origins: tuple[Origin, ...], columns: list[list[object]], start: int = 0, most: int = 1 << 16
) -> Pairs:
    """Expand a batch with one user column before the hidden ones; all pieces after each other."""
    found = pieces(origins, columns, start, most)
    return Pairs(
        np.concatenate([np.empty(0, np.int64), *(pairs.result_row for pairs in found)]),
        np.concatenate([np.empty(0, np.uint64), *(pairs.left for pairs in found)]),
        np.concatenate([np.empty(0, np.uint64), *(pairs.right for pairs in found)]),
    )


def pieces(
    origins: tuple[Origin, ...], columns: list[list[object]], start: int, most: int
) -> list[Pairs]:
    arrays = [pa.array(c, o.arrow_type) for o, c in zip(origins, columns, strict=True)]
    user = pa.array(range(len(columns[0])))
    names = [f"c{i}" for i in range(len(arrays) + 1)]
    batch = pa.RecordBatch.from_arrays([user, *arrays], names=names).slice(start)
    frame = PairFrame(None, 1, origins)  # type: ignore[arg-type]
    return list(expand(batch, frame, most))


def listed(pairs: Pairs) -> list[tuple[int, int, int]]:
    return list(
        zip(pairs.result_row.tolist(), pairs.left.tolist(), pairs.right.tolist(), strict=True)
    )


def test_a_row_of_a_join_is_one_pair() -> None:
    found = expanded((RowId(L, "l"), RowId(R, "r")), [[5, 6], [7, 7]])

    assert listed(found) == [(0, 5, 7), (1, 6, 7)]


def test_the_sides_are_told_apart_whatever_their_order() -> None:
    found = expanded((RowId(R, "r"), RowId(L, "l")), [[7, 8], [5, 6]])

    assert listed(found) == [(0, 5, 7), (1, 6, 8)]


def test_a_null_on_either_side_gives_no_pair() -> None:
    found = expanded((RowId(L, "l"), RowId(R, "r")), [[5, None, 6], [None, 7, 8]])

    assert listed(found) == [(2, 6, 8)]


def test_rows_of_a_slice_are_counted_from_its_start() -> None:
    found = expanded((RowId(L, "l"), Collected((RowId(R, "r"),), "c")), [[5, 6], [[1], [2]]], 1)

    assert listed(found) == [(0, 6, 2)]


def test_all_rows_of_a_side_joined_to_itself_pair() -> None:
    origins = (RowId(L, "a"), RowId(L, "b"), RowId(R, "r"))

    found = expanded(origins, [[1, 3], [2, 3], [9, 9]])

    assert listed(found) == [(0, 1, 9), (0, 2, 9), (1, 3, 9)]


def test_every_row_of_a_group_pairs_with_the_row_beside_it() -> None:
    origins = (RowId(L, "l"), Collected((RowId(R, "r"),), "c"))

    found = expanded(origins, [[1, 2, 3], [[8, 9, 8], [], None]])

    assert listed(found) == [(0, 1, 8), (0, 1, 9)]


def test_rows_folded_together_pair_only_with_their_own_neighbours() -> None:
    origins = (Collected((RowId(L, "l"), RowId(R, "r")), "c"),)
    rows = [[{"m0": 1, "m1": 8}, {"m0": 2, "m1": 9}, {"m0": 1, "m1": 8}, {"m0": 3, "m1": None}]]

    found = expanded(origins, [rows])

    assert listed(found) == [(0, 1, 8), (0, 2, 9)]


def test_two_groups_pair_in_every_combination() -> None:
    origins = (Collected((RowId(L, "l"),), "a"), Collected((RowId(R, "r"),), "b"))

    found = expanded(origins, [[[1, 2]], [[8, 9]]])

    assert listed(found) == [(0, 1, 8), (0, 1, 9), (0, 2, 8), (0, 2, 9)]


def test_of_two_large_groups_no_more_pairs_than_asked_for_come_at_a_time() -> None:
    origins = (Collected((RowId(L, "l"),), "a"), Collected((RowId(R, "r"),), "b"))

    found = pieces(origins, [[list(range(50))], [list(range(40))]], 0, most=100)

    assert sum(map(len, found)) == 50 * 40
    assert max(map(len, found)) <= 100


def test_a_list_beside_a_row_of_its_side_tells_nothing() -> None:
    row, folded = RowId(R, "r"), Collected((RowId(R, "g"),), "c")

    assert silenced((row, folded), frozenset((R,))) == (row,)


def test_a_row_without_both_sides_gives_nothing() -> None:
    found = expanded((Collected((RowId(L, "l"),), "c"), RowId(L, "a")), [[[1]], [2]])

    assert listed(found) == []


def test_of_lists_beside_a_row_only_the_other_side_is_told() -> None:
    pair = Collected((RowId(L, "l"), RowId(R, "r")), "c")

    (quiet,) = silenced((pair,), frozenset((L,)))

    assert quiet.sides == {R}
    beside = (RowId(L, "l"), quiet)
    assert listed(expanded(beside, [[5], [[{"m0": 1, "m1": 8}]]])) == [(0, 5, 8)]


def test_branches_that_tell_a_side_in_unlike_ways_do_not_hush_each_other() -> None:
    origins = (RowId(L, "l"), RowId(R, "r"), Collected((RowId(R, "g"),), "c"))

    found = expanded(origins, [[1, 2], [7, None], [None, [8, 9]]])

    assert listed(found) == [(0, 1, 7), (1, 2, 8), (1, 2, 9)]


@settings(max_examples=often(300), deadline=None)
@given(hidden_columns(), st.sampled_from([1, 2, 5, 1 << 16]))
def test_pairs_are_what_the_definition_says_however_many_come_at_a_time(
    hidden: tuple[tuple[Origin, ...], list[list[object]]], most: int
) -> None:
    origins, columns = hidden

    found = expanded(origins, columns, most=most)

    wanted = [
        (row, *pair)
        for row, cells in enumerate(zip(*columns, strict=True))
        for pair in pairs_by_definition(origins, cells)
    ]
    assert Counter(listed(found)) == Counter(wanted)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_batch_has_no_pairs(rows: int) -> None:
    origins = (Collected((RowId(L, "l"), RowId(R, "r")), "c"),)

    found = expanded(origins, [[[]] * rows])

    assert len(found) == 0
