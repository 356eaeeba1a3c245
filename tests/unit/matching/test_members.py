from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.matching.row_ids.members import Matches, matches
from kalla_core.matching.row_ids.origins import Collected, Origin, RowId
from kalla_core.matching.row_ids.pairs import PairFrame
from kalla_core.matching.sql.query import Side
from tests.support.chance import often
from tests.support.grouped import groups_of
from tests.unit.matching.derivations import hidden_columns, pairs_by_definition

L, R = Side.LEFT, Side.RIGHT
LEFT_ROW, RIGHT_ROW = RowId(L, "l"), RowId(R, "r")
LEFT_GROUP, RIGHT_GROUP = Collected((LEFT_ROW,), "a"), Collected((RIGHT_ROW,), "b")

Row = tuple[int | None, int | None]


def found_in(
    origins: tuple[Origin, ...], columns: list[list[object]], most: int = 1 << 16
) -> list[Matches]:
    arrays = [pa.array(c, o.arrow_type) for o, c in zip(origins, columns, strict=True)]
    names = [f"c{i}" for i in range(len(arrays))]
    batch = pa.RecordBatch.from_arrays(arrays, names=names)
    frame = PairFrame(None, 0, origins)  # type: ignore[arg-type]
    return list(matches(batch, frame, most))


def told(pieces: list[Matches]) -> Counter[tuple[int, frozenset[Row]]]:
    """Return the result row and the rows of each match; a match lies in one piece."""
    every: list[tuple[int, frozenset[Row]]] = []
    for found in pieces:
        rows: defaultdict[int, list[Row]] = defaultdict(list)
        owners: dict[int, int] = {}
        numbers = zip(found.left.to_pylist(), found.right.to_pylist(), strict=True)
        for match, owner, row in zip(found.match, found.result_row, numbers, strict=True):
            rows[int(match)].append(row)
            assert owners.setdefault(int(match), int(owner)) == owner
        assert all(len(set(one)) == len(one) for one in rows.values())
        assert found.match.tolist() == sorted(found.match)
        assert sorted(rows) == list(range(len(rows)))
        every += [(owners[match], frozenset(one)) for match, one in rows.items()]
    return Counter(every)


def test_a_group_that_matches_a_group_is_told_by_its_members() -> None:
    found = found_in((LEFT_GROUP, RIGHT_GROUP), [[[1, 2, 3]], [[8, 9]]])

    rows = [(1, None), (2, None), (3, None), (None, 8), (None, 9)]
    assert told(found) == Counter([(0, frozenset(rows))])


def test_a_row_that_matches_a_group_is_told_by_pairs_of_one_match() -> None:
    found = found_in((LEFT_ROW, RIGHT_GROUP), [[1, 2], [[8, 9], [9]]])

    assert told(found) == Counter([(0, frozenset({(1, 8), (1, 9)})), (1, frozenset({(2, 9)}))])


def test_each_row_of_a_join_is_a_match_of_its_own() -> None:
    found = found_in((RIGHT_ROW, LEFT_ROW), [[8, 8, None], [1, 2, 3]])

    assert told(found) == Counter([(0, frozenset({(1, 8)})), (1, frozenset({(2, 8)}))])


def test_of_rows_folded_together_those_that_hang_together_are_one_match() -> None:
    pairs = [(1, 8), (2, 8), (2, 9), (3, 7), (1, 8)]
    folded = [[{"m0": left, "m1": right} for left, right in pairs]]

    found = found_in((Collected((LEFT_ROW, RIGHT_ROW), "c"),), [folded])

    assert told(found) == Counter(
        [(0, frozenset({(1, 8), (2, 8), (2, 9)})), (0, frozenset({(3, 7)}))]
    )


def test_rows_folded_together_that_all_match_each_other_are_a_group_too() -> None:
    folded = [[{"m0": left, "m1": right} for left in (1, 2) for right in (8, 9)]]

    found = found_in((Collected((LEFT_ROW, RIGHT_ROW), "c"),), [folded])

    assert told(found) == Counter([(0, frozenset({(1, None), (2, None), (None, 8), (None, 9)}))])


def test_a_group_on_one_side_only_is_no_match() -> None:
    found = found_in((LEFT_GROUP, RIGHT_GROUP), [[[1, 2], [], None], [[], [8, 9], None]])

    assert told(found) == Counter()


def test_folded_groups_are_told_without_making_their_pairs() -> None:
    size = 30_000
    origins = (Collected((LEFT_GROUP, RIGHT_GROUP), "c"),)
    groups = [{"m0": list(range(size)), "m1": list(range(size))}]

    (found,) = found_in(origins, [[groups]])

    assert len(found) == 2 * size
    assert found.left.null_count == found.right.null_count == size


def test_a_long_chain_of_pairs_is_one_match() -> None:
    size = 5_000
    names = np.random.default_rng(3).permutation(size)
    chain = [{"m0": names[n // 2], "m1": names[(n + 1) // 2]} for n in range(2 * size - 1)]

    (found,) = found_in((Collected((LEFT_ROW, RIGHT_ROW), "c"),), [[chain]])

    assert len(found) == 2 * size - 1
    assert set(found.match.tolist()) == {0}


@settings(max_examples=often(300), deadline=None)
@given(hidden_columns(), st.sampled_from([1, 2, 5, 1 << 16]))
def test_matches_are_what_the_definition_says_however_many_come_at_a_time(
    hidden: tuple[tuple[Origin, ...], list[list[object]]], most: int
) -> None:
    origins, columns = hidden

    found = found_in(origins, columns, most)

    wanted = [
        (row, frozenset(group.rows))
        for row, cells in enumerate(zip(*columns, strict=True))
        for group in groups_of(pairs_by_definition(origins, cells))
    ]
    assert told(found) == Counter(wanted)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_batch_has_no_matches(rows: int) -> None:
    assert told(found_in((LEFT_GROUP, RIGHT_GROUP), [[[]] * rows, [[]] * rows])) == Counter()
