from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.engine.joins import grouped
from kalla_core.engine.joins.grouped import GroupedRows, OneSide, of_columns, whole_matches
from kalla_core.matching.sql.query import Side


def side(*numbers: int | None) -> OneSide:
    texts = [None if number is None else f"k{number}" for number in numbers]
    return OneSide(pa.array(numbers, pa.uint64()), pa.array(texts, pa.string()))


def test_a_row_is_a_member_once_however_many_pairs_of_a_match_it_is_in() -> None:
    rows = GroupedRows(np.array([0, 0, 1, 2, 2]), side(1, 1, 1, 2, None), side(8, 9, 8, None, 7))

    assert sorted(rows.members(Side.LEFT)) == [1, 1, 2]
    assert sorted(rows.members(Side.RIGHT)) == [7, 8, 8, 9]


def test_rows_of_a_match_share_an_id_that_other_rows_with_the_same_members_have_too() -> None:
    rows = GroupedRows(np.array([0, 0, 1, 2, 2]), side(1, 1, 1, 1, 1), side(8, 9, 8, 9, 8))

    (piece,) = rows.pieces()

    one, same, other, again, as_well = piece.ids.to_pylist()
    assert one == same == again == as_well != other
    assert piece.begun == 3


def test_matches_are_counted_where_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouped, "_ROWS_AT_ONCE", 2)
    rows = GroupedRows(np.array([0, 0, 0, 0, 1]), side(*range(5)), side(*range(5)))

    pieces = list(rows.pieces())

    assert [(piece.start, piece.end, piece.begun) for piece in pieces] == [
        (0, 2, 1),
        (2, 4, 0),
        (4, 5, 1),
    ]
    assert len({id for piece in pieces[:2] for id in piece.ids.to_pylist()}) == 1


def test_of_no_rows_there_are_no_pieces() -> None:
    assert list(GroupedRows(np.array([], np.int64), side(), side()).pieces()) == []


def test_a_key_of_several_columns_is_null_where_a_row_has_nothing_of_that_side() -> None:
    numbers = [pa.array([5, None], pa.uint64()), pa.array([None, 6], pa.uint64())]
    left = [pa.array(["a", None]), pa.array([1, None])]
    right = [pa.array([None, "b"])]

    rows = of_columns(np.array([3, 3]), numbers, left, right)

    assert rows.match.tolist() == [0, 0]
    assert rows.left.texts.to_pylist() == ['["a",1]', None]
    assert rows.right.texts.to_pylist() == [None, "b"]


@given(st.lists(st.integers(1, 9)), st.lists(st.integers(1, 7)), st.integers(1, 200))
def test_a_match_is_never_cut_however_its_rows_come(
    sizes: list[int], cuts: list[int], least_bytes: int
) -> None:
    matches = np.repeat(np.arange(len(sizes)), sizes)
    batches, start = [], 0
    for size in [*cuts, len(matches)]:
        part = matches[start : start + size]
        start += size
        batches += [pa.record_batch({"match": part})] if len(part) else []

    tables = list(whole_matches(batches, 0, least_bytes))

    found = [table.column("match").to_pylist() for table in tables]
    assert [one for part in found for one in part] == matches.tolist()
    assert all(len(part) > 0 for part in found)
    assert sum(len(set(part)) for part in found) == len(sizes)
