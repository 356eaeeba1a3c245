"""Every way in which rows come to be joined, taken on purpose, gives the evidence of the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_core.engine.totals import Way
from kalla_core.matching.planned import Strategy
from kalla_core.matching.query import Side
from tests.support.runs import AMPLE
from tests.support.tables import Ran
from tests.support.ways import CASES, given


def assert_same(got: Ran, whole: Ran) -> None:
    assert got.matched.equals(whole.matched)
    for side in Side:
        assert got.unmatched[side].equals(whole.unmatched[side])


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
