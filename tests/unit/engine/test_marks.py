"""Two flags per row of a source, found by the row's number."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.engine.rows import Rows
from kalla_core.engine.spool.marks import GlobalMarks
from kalla_core.engine.spool.store import PART_SHIFT
from kalla_core.matching.sql.query import Side, TableShape

SHAPE = TableShape("t", pa.schema([("id", pa.int64())]), ("id",))
PART_ROWS = st.lists(st.integers(0, 5), max_size=5)


def numbers(part_rows: list[int]) -> list[int]:
    return [(part << PART_SHIFT) + n for part, rows in enumerate(part_rows) for n in range(rows)]


@given(PART_ROWS, st.data())
def test_the_rows_that_were_marked_are_marked_and_no_others(
    part_rows: list[int], data: st.DataObject
) -> None:
    every = numbers(part_rows)
    some = st.lists(st.sampled_from(every)) if every else st.just([])
    marked, again, order = data.draw(some), data.draw(some), data.draw(st.permutations(every))
    marks = GlobalMarks(part_rows)

    marks.set(np.array(marked, dtype=np.uint64))
    marks.set(np.array(again, dtype=np.uint64))

    rows = Rows(Side.LEFT, SHAPE, (), np.array(order, dtype=np.uint64))
    assert marks.of(rows).tolist() == [n in {*marked, *again} for n in order]
    assert marks.again(rows).tolist() == [(marked + again).count(n) > 1 for n in order]
    assert marks.count == len({*marked, *again})


@given(PART_ROWS, st.data())
def test_marks_of_several_joins_come_together_in_any_order(
    part_rows: list[int], data: st.DataObject
) -> None:
    every = numbers(part_rows)
    some = st.lists(st.sampled_from(every)) if every else st.just([])
    joins = data.draw(st.lists(some, max_size=4))
    gathered = GlobalMarks(part_rows)

    for join in joins:
        marks = GlobalMarks(part_rows)
        marks.set(np.array(join, dtype=np.uint64))
        for packed in marks.packed():
            gathered.merge(*packed)

    rows = Rows(Side.LEFT, SHAPE, (), np.array(every, dtype=np.uint64))
    used = [n for join in joins for n in join]
    assert gathered.of(rows).tolist() == [n in used for n in every]
    assert gathered.again(rows).tolist() == [used.count(n) > 1 for n in every]
