"""Fragments run one by one, as executors do: the same evidence as a run on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.totals import Way
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Strategy
from tests.integration.test_engine_shapes import RUN, given
from tests.support.runs import AMPLE
from tests.support.spread import Layout, spread
from tests.support.tables import Reconciliation
from tests.support.ways import CASES
from tests.support.ways import given as given_ways
from tests.unit.matching.shapes import Shape

SOME = RUN[4::8]
TIGHT = replace(AMPLE, whole_bytes=12_000, join_bytes=5_000, run_bytes=2_000, threads=1)
LAYOUTS: dict[str, tuple[Layout, Budget]] = {
    "three executors": (Layout(executors=3, parts=5), AMPLE),
    "one executor with next to no memory": (Layout(executors=1, joins=2, buckets=3), TIGHT),
    "a bucket that two joins share": (Layout(split=1), AMPLE),
}


def is_the_same_wherever_it_runs(folder: Path, shape: Shape) -> None:
    books = given(folder, shape)
    whole = books.run()

    got = {
        name: spread(books.recipe(), folder, layout, share)
        for name, (layout, share) in LAYOUTS.items()
    }

    same = {name: ran.has_the_rows_of(whole) for name, ran in got.items()}
    assert same == dict.fromkeys(LAYOUTS, True)


@pytest.mark.parametrize("shape", SOME, ids=str)
def test_a_shape_gives_the_same_evidence_on_executors(tmp_path: Path, shape: Shape) -> None:
    is_the_same_wherever_it_runs(tmp_path, shape)


@pytest.mark.full
@pytest.mark.parametrize("shape", [shape for shape in RUN if shape not in SOME], ids=str)
def test_every_shape_gives_the_same_evidence_on_executors(tmp_path: Path, shape: Shape) -> None:
    is_the_same_wherever_it_runs(tmp_path, shape)


@pytest.mark.parametrize("name", CASES)
def test_a_fragment_joins_within_its_budget_in_every_way(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    books = given_ways(tmp_path, case.sql, case.hot)
    whole = books.run()
    buckets = case.options.get("buckets", 4)

    got = spread(books.recipe(), tmp_path, Layout(buckets=buckets), case.share)

    assert got.has_the_rows_of(whole)
    assert got.joins


def test_a_hot_bucket_is_shared_by_two_joins_and_settled_once(tmp_path: Path) -> None:
    case = CASES["one key of the left in pieces"]
    books = given_ways(tmp_path, case.sql, case.hot)
    whole = books.run()

    got = [
        spread(books.recipe(), tmp_path, Layout(buckets=4, split=split), AMPLE)
        for split in range(4)
    ]

    assert [ran.has_the_rows_of(whole) for ran in got] == [True] * 4
    assert all(ran.joins[Way.AGAINST_WHOLE] == 2 for ran in got)


def test_the_census_counts_on_every_executor_what_a_run_counts_at_once(tmp_path: Path) -> None:
    books = Reconciliation(tmp_path, "SELECT l.id FROM l JOIN r ON l.k = r.k")
    ids = [None if n % 50 == 0 else n % 300 for n in range(1000)]
    table = pa.table({"id": pa.array(ids, pa.int64()), "k": range(1000)})
    for side in Side:
        books.put(side.word, table)
    whole = books.run()

    got = spread(books.recipe(), tmp_path)

    counts = {side: whole.outcome.sides[side].keys for side in Side}
    assert got.duplicates == {side: counts[side].duplicates for side in Side}
    assert got.null_keys == {side: counts[side].nulls for side in Side}
    assert min(got.duplicates.values()) > 0
    assert min(got.null_keys.values()) > 0


def test_sources_without_rows_leave_outputs_without_rows(tmp_path: Path) -> None:
    books = Reconciliation(tmp_path, "SELECT l.id FROM l JOIN r ON l.k = r.k")
    empty = pa.table({"id": pa.array([], pa.int64()), "k": pa.array([], pa.int64())})
    for side in Side:
        books.put(side.word, empty)

    got = spread(books.recipe(), tmp_path)

    assert (got.matched.num_rows, len(got.unmatched[Side.LEFT].schema)) == (0, 7)


def test_all_strategies_are_among_what_is_run_here() -> None:
    strategies = {shape.expected for shape in SOME}

    assert strategies == set(Strategy)


def test_a_fragment_tells_how_far_it_has_come(tmp_path: Path) -> None:
    case = CASES["buckets side by side"]
    books = given_ways(tmp_path, case.sql, case.hot)

    got = spread(books.recipe(), tmp_path)

    last = {report.id: report for report in got.reports}
    scanned = sum(report.rows for id, report in last.items() if id.stage == "scan")
    joined = sum(report.rows for id, report in last.items() if id.stage == "join")
    pairs = sum(report.matched_rows for id, report in last.items() if id.stage == "join")
    assert scanned == joined
    assert pairs == got.matched.num_rows
