"""Rows in two matches or more are counted and told, however the rows were divided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.engine.spool.uses import Uses
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side
from tests.support.tables import Reconciliation

BY_AMOUNT = "SELECT l.id AS lid, r.id AS rid FROM l JOIN r ON l.amount = r.amount"


@given(st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=4))
def test_a_row_is_used_again_when_it_is_in_a_second_pair(batches: list[list[int]]) -> None:
    uses = Uses(7)

    for batch in batches:
        uses.add(np.array(batch, dtype=np.int64))

    every = [n for batch in batches for n in batch]
    assert uses.matched.tolist() == [n in every for n in range(7)]
    assert uses.again.tolist() == [every.count(n) > 1 for n in range(7)]


def test_a_payment_that_is_used_twice_is_a_warning_with_its_key(tmp_path: Path) -> None:
    books = Reconciliation(tmp_path, BY_AMOUNT)
    books.put("left", pa.table({"id": [1, 2, 3], "amount": ["100.00", "100.00", "50.00"]}))
    books.put("right", pa.table({"id": [1, 2], "amount": ["100.00", "50.00"]}))

    outcome = books.run().outcome

    assert outcome.warnings == ("1 row of r is in two or more matches, for example id = 1.",)
    assert outcome.sides[Side.LEFT].several == Several()
    assert outcome.sides[Side.RIGHT].several == Several(1, "1")


def test_buckets_do_not_change_how_often_rows_are_used_nor_the_example(tmp_path: Path) -> None:
    books = Reconciliation(tmp_path, BY_AMOUNT)
    books.put("left", pa.table({"id": list(range(100)), "amount": [n % 60 for n in range(100)]}))
    books.put("right", pa.table({"id": list(range(100)), "amount": [n % 70 for n in range(100)]}))

    whole, divided = books.run().outcome, books.run(buckets=7).outcome

    assert whole.sides[Side.LEFT].several == Several(60, "0")
    assert whole.sides[Side.RIGHT].several == Several(70, "0")
    assert divided.warnings == whole.warnings
    assert [divided.sides[side].several for side in Side] == [
        whole.sides[side].several for side in Side
    ]
