"""Queries of a WITH that are read more than once are computed once, and the evidence is the same.

Its pairs are those that DuckDB finds in the same files, and its rows those of a run in which
DataFusion computes such queries as often as they are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from kalla_core.engine.joins import shared as shared_module
from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_shapes, register_table
from kalla_core.matching.strategy import planned as planned_module
from kalla_core.matching.strategy.planned import pair_frame, plan_match, shared_rows
from kalla_core.recipe.model import GroupForm
from tests.support.runs import AMPLE
from tests.support.tables import Reconciliation
from tests.unit.matching.nasty import query, tables

ROWS = {Side.LEFT: 120, Side.RIGHT: 140}
TIGHT = replace(AMPLE, whole_bytes=1, join_bytes=6_000, run_bytes=2_000)

NEAR = (
    "near AS (SELECT l.id AS lid, r.id AS rid, abs(l.amount - r.paid) AS gap, l.k AS k,"
    " l.ref AS ref FROM left_src l JOIN right_src r ON l.k = r.k)"
)
RANKED = (
    "ranked AS (SELECT *, row_number() OVER (PARTITION BY lid ORDER BY gap, rid) AS rl,"
    " row_number() OVER (PARTITION BY rid ORDER BY gap, lid) AS rr FROM near)"
)
BEST = "best AS (SELECT * FROM ranked WHERE rl = 1 AND rr = 1)"
MUTUAL = (
    f"WITH {NEAR}, {RANKED}, {BEST} SELECT lid, rid FROM best UNION ALL SELECT n.lid, n.rid"
    " FROM near n WHERE n.gap < 5 AND n.lid NOT IN (SELECT lid FROM best)"
    " AND n.rid NOT IN (SELECT rid FROM best)"
)
SHARED = {
    "mutual best in two rounds": (MUTUAL, {"near": 2, "ranked": 3}),
    "joined with itself": (
        f"WITH {NEAR} SELECT a.lid, a.rid FROM near a JOIN near b ON a.lid = b.lid"
        " AND a.rid <> b.rid",
        {"near": 2},
    ),
    "a correlated EXISTS": (
        f"WITH {NEAR} SELECT n.lid, n.rid FROM near n WHERE NOT EXISTS (SELECT 1 FROM near o"
        " WHERE o.lid = n.lid AND o.gap < n.gap)",
        {"near": 2},
    ),
    "a scalar sub-query": (
        f"WITH {NEAR} SELECT lid, rid FROM near WHERE gap <= (SELECT avg(gap) FROM near)",
        {"near": 2},
    ),
    "columns of its own, in quotes": (
        'WITH "Near"("L", "the ""r""") AS (SELECT l.id, r.id FROM left_src l JOIN right_src r'
        ' ON l.k = r.k) SELECT a."L", a."the ""r""" FROM "Near" a JOIN "Near" b ON a."L" = b."L"'
        ' AND a."the ""r""" = b."the ""r"""',
        {'"Near"': 2},
    ),
    "the name of a table": (
        "WITH right_src AS (SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id) AS n"
        " FROM right_src) SELECT l.id AS lid, r.id AS rid FROM left_src l JOIN right_src r"
        " ON l.k = r.k WHERE r.n < 4 AND r.id IN (SELECT id FROM right_src WHERE n < 3)",
        {"right_src": 2},
    ),
    "a count that cannot be null": (
        "WITH paid AS (SELECT k, count(*) AS n FROM right_src GROUP BY k)"
        " SELECT l.id AS lid, r.id AS rid FROM left_src l JOIN right_src r ON l.k = r.k"
        " WHERE l.k IN (SELECT k FROM paid WHERE n IS NOT NULL)"
        " AND r.k IN (SELECT k FROM paid WHERE n < 999)",
        {"paid": 2},
    ),
    "an outer join": (
        "WITH pairs AS (SELECT l.id AS lid, r.id AS rid, l.k FROM left_src l LEFT JOIN right_src r"
        " ON l.k = r.k AND l.ref = r.ref) SELECT a.lid, a.rid FROM pairs a WHERE a.k > 1"
        " UNION SELECT b.lid, b.rid FROM pairs b WHERE b.rid IS NOT NULL",
        {"pairs": 2},
    ),
    "an extra alone": (
        "WITH rates AS (SELECT ccy, max(rate) AS rate FROM fx GROUP BY ccy)"
        " SELECT l.id AS lid, r.id AS rid FROM left_src l JOIN right_src r ON l.k = r.k"
        " JOIN rates a ON a.ccy = l.cur LEFT JOIN rates b ON b.ccy = r.cur",
        {"rates": 2},
    ),
    "a name twice": (
        "WITH paired AS (SELECT * FROM left_src l JOIN right_src r ON l.k = r.k)"
        " SELECT l.id AS lid, r.id AS rid FROM left_src l JOIN right_src r"
        " ON l.k = r.k AND l.ref = r.ref"
        " WHERE EXISTS (SELECT 1 FROM paired) AND 0 < (SELECT count(*) FROM paired)",
        {"paired": 2},
    ),
    "a WITH inside of it": (
        "WITH pairs AS (WITH few AS (SELECT id, k FROM right_src WHERE id > 3) SELECT l.id AS lid,"
        " f.id AS rid FROM left_src l JOIN few f ON l.k = f.k) SELECT a.lid, a.rid FROM pairs a"
        " WHERE a.lid IN (SELECT lid FROM pairs WHERE rid < 90)",
        {"pairs": 2},
    ),
}  # fmt: skip
NOT_SHARED = {
    "named once": f"WITH {NEAR} SELECT lid, rid FROM near",
    "never named": f"WITH {NEAR} SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.k = r.k",
    "no work": "WITH few AS (SELECT id, k FROM right_src WHERE id > 3) SELECT l.id, a.id AS rid"
    " FROM left_src l JOIN few a ON l.k = a.k JOIN few b ON a.id = b.id",
    "one that reads itself": "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
    " WHERE i < 3) SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.id = r.id"
    " WHERE l.id IN (SELECT i FROM n) OR r.id IN (SELECT i FROM n)",
}


def given(folder: Path, sql: str) -> Reconciliation:
    books = Reconciliation(folder, sql, extras=("fx",))
    made = tables(seed=5, left_rows=ROWS[Side.LEFT], right_rows=ROWS[Side.RIGHT])
    for side, table in ((Side.LEFT, made.left.drop(["tags"])), (Side.RIGHT, made.right)):
        books.put(side.word, table.set_column(0, "id", pa.array(range(ROWS[side]), pa.int64())))
    books.put("fx", made.fx)
    return books


def duckdb_pairs(folder: Path, sql: str) -> list[tuple[str, str]]:
    with duckdb.connect() as database:
        for name, file in (("left_src", "left"), ("right_src", "right"), ("fx", "fx")):
            database.read_parquet(str(folder / f"{file}.parquet")).create_view(name)
        found = database.execute(sql).fetchall()
    return sorted({(str(a), str(b)) for a, b in found if a is not None and b is not None})


@contextmanager
def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    planned_module._planned.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(planned_module, "sharing_of", lambda *_: None)
        yield
    planned_module._planned.cache_clear()


@pytest.mark.parametrize("sql", [sql for sql, _ in SHARED.values()], ids=SHARED)
def test_the_evidence_is_that_of_queries_computed_wherever_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    books = given(tmp_path, sql)
    with nothing_shared(monkeypatch):
        wanted = books.run()

    whole = books.run()
    cut = books.run(AMPLE, buckets=5)
    tight = books.run(TIGHT, partitions=3)

    assert sorted(set(whole.pairs)) == duckdb_pairs(tmp_path, sql)
    assert whole.pairs
    assert whole.has_the_rows_of(wanted)
    assert cut.has_the_rows_of(wanted)
    assert tight.has_the_rows_of(wanted)
    assert not list((tmp_path).rglob("kalla_shared*"))


@pytest.mark.parametrize(("sql", "readers"), SHARED.values(), ids=SHARED)
def test_it_is_known_which_queries_are_read_how_often(sql: str, readers: dict[str, int]) -> None:
    plan = plan_match(query(sql))

    assert plan.sharing is not None
    assert {one.name: one.readers for one in plan.sharing.queries} == readers
    told = [f"{name} is computed once and read {count} times." for name, count in readers.items()]
    assert list(plan.why[-len(told) :]) == told


@pytest.mark.parametrize("sql", NOT_SHARED.values(), ids=NOT_SHARED)
def test_other_queries_stay_where_they_are_named(sql: str) -> None:
    assert plan_match(query(sql)).sharing is None


def test_each_table_is_scanned_once_for_all_that_read_a_query() -> None:
    plan = plan_match(query(MUTUAL))
    plain, numbered = new_session(), new_session()
    register_shapes(plain, plan.query)
    register_shapes(numbered, plan.query, numbered=True)
    for session in (plain, numbered):
        register_calls(session, plan.prepared)
    assert plan.sharing is not None
    scans = []
    for one in plan.sharing.queries:
        rows = shared_rows(plan, one, plain, numbered)
        scans += scanned(rows.optimized_logical_plan().display_indent())
        for session in (plain, numbered):
            register_table(session, one.table, one.schema.empty_table())

    top = pair_frame(plan, plain, numbered, shared=True).frame
    scans += scanned(top.optimized_logical_plan().display_indent())

    assert scans.count("left_src") == scans.count("right_src") == 1
    assert len(scanned(plan.plan_text)) == 2 * 4


def scanned(plan: str) -> list[str]:
    return re.findall(r"TableScan: (\w+)", plan)


def test_only_what_is_read_of_a_query_is_kept() -> None:
    sharing = plan_match(query(MUTUAL)).sharing

    assert sharing is not None
    near, ranked = sharing.queries
    kept = [place for place in near.needed if not near.schema.field(place).name.startswith("_")]
    assert 4 not in kept  # ref, which nobody reads
    assert ranked.kept is not None
    assert "UInt64(1)" in str(ranked.kept)


@pytest.mark.parametrize("groups", GroupForm)
def test_rows_that_do_not_fit_go_to_disk_and_leave_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: GroupForm
) -> None:
    books = replace(given(tmp_path, MUTUAL), groups=groups)
    whole = books.run()
    written: list[Path] = []
    on_disk = shared_module.SharedRows._on_disk

    def spied(self: shared_module.SharedRows, *args: object) -> object:
        found = on_disk(self, *args)  # type: ignore[arg-type]
        written.append(found.path)
        return found

    monkeypatch.setattr(shared_module.SharedRows, "_on_disk", spied)
    monkeypatch.setattr("kalla_core.engine.joins.join._SHARED_PART", 1 << 40)

    small = books.run()

    assert len(written) == 2
    assert small.has_the_rows_of(whole)
    assert not any(path.exists() for path in written)
