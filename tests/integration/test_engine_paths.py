"""Every way in which rows come to be joined, taken on purpose, gives the evidence of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.joins.totals import Way
from kalla_core.errors import OutOfMemory
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Strategy
from tests.support.runs import AMPLE
from tests.support.tables import Ran, Reconciliation
from tests.support.ways import CASES, given


def assert_same(got: Ran, whole: Ran) -> None:
    assert got.matched.equals(whole.matched)
    for side in Side:
        assert got.unmatched[side].equals(whole.unmatched[side])
        assert got.outcome.sides[side].several == whole.outcome.sides[side].several


_WIDE_ROWS = 12_000


@pytest.mark.parametrize("name", CASES)
def test_each_way_gives_the_evidence_of_the_whole(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    books = given(tmp_path, case.sql, case.hot)
    whole = books.run(AMPLE)

    got = books.run(case.share, **case.options)

    assert whole.joins == {Way.WHOLE: 1}
    assert case.ways.keys() <= got.joins.keys()
    assert all(got.joins[way] == count for way, count in case.ways.items() if count)
    assert len(whole.pairs) > 0
    assert all(len(whole.unmatched[side]) > 0 for side in Side)
    assert_same(got, whole)


def test_all_strategies_are_among_the_cases(tmp_path: Path) -> None:
    strategies = {given(tmp_path, case.sql).run().outcome.strategy for case in CASES.values()}

    assert strategies == {strategy.value for strategy in Strategy}


def test_sorts_that_spill_many_times_still_fit(tmp_path: Path) -> None:
    books = _wide_books(tmp_path, joins=1)
    share = replace(AMPLE, whole_bytes=1, join_bytes=1 << 20, pool_bytes=8 << 20)

    ran = books.run(share, buckets=4)

    assert ran.joins == {Way.FROM_DISK: 1}
    assert len(ran.pairs) == _WIDE_ROWS


def test_a_plan_with_more_sorts_than_expected_is_run_again_with_smaller_batches(
    tmp_path: Path,
) -> None:
    books = _wide_books(tmp_path, joins=3)
    share = replace(AMPLE, whole_bytes=1, join_bytes=1 << 20, pool_bytes=2 << 20)

    ran = books.run(share, buckets=4)

    assert len(ran.pairs) == _WIDE_ROWS


def test_a_sort_that_cannot_fit_is_named_with_what_would_help(tmp_path: Path) -> None:
    books = _wide_books(tmp_path, joins=1)
    share = replace(AMPLE, whole_bytes=1, join_bytes=1 << 20, pool_bytes=200 << 10)

    with pytest.raises(OutOfMemory, match=r"ExternalSorter\w* needs .* select fewer columns"):
        books.run(share, buckets=4)


def _wide_books(folder: Path, joins: int) -> Reconciliation:
    """Rows of about 280 bytes a side; one join, and further ones that change nothing."""
    rows = _WIDE_ROWS
    wide = {f"text_{n}": [f"{n} {i} " + "x" * 60 for i in range(rows)] for n in range(4)}
    table = pa.table({"id": range(rows), "k": [n * 7919 % rows for n in range(rows)], **wide})
    further = " ".join(f"JOIN r AS r{n} ON r{n}.text_{n} = l.text_{n}" for n in range(1, joins))
    sql = (
        "SELECT l.*, r.*, count(*) OVER (PARTITION BY l.text_1) n "
        f"FROM l JOIN r ON l.k = r.k {further}"
    )
    books = Reconciliation(folder, sql)
    for side in Side:
        books.put(side.word, table)
    return books
