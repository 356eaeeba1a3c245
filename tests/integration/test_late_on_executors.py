"""Late runs on executors: narrow rows travel, unmatched ones are read whole once more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.query import Side
from tests.support.corpus import corpus, put_tables
from tests.support.spread import Layout, spread
from tests.support.tables import Reconciliation
from tests.support.ways import CASES
from tests.support.ways import given as given_ways
from tests.unit.matching.nasty import tables

LATE = Layout(parts=4, joins=2, late=True)
SOME = corpus()[::25]


def given(folder: Path, sql: str) -> Reconciliation:
    put_tables(folder)
    return Reconciliation(folder, sql, extras=("fx",) if "fx f" in sql else ())


def is_the_same_read_late(folder: Path, sql: str) -> bool:
    """Whether a run was late at all; its evidence is compared anyway."""
    books = given(folder, sql)
    whole = books.run()

    got = spread(books.recipe(), folder, LATE)

    assert got.has_the_rows_of(whole)
    counts = {side: whole.outcome.sides[side].keys for side in Side}
    assert got.duplicates == {side: counts[side].duplicates for side in Side}
    return got.late


def test_some_recipes_give_the_same_evidence_with_wide_columns_read_late(tmp_path: Path) -> None:
    late = [is_the_same_read_late(tmp_path, sql) for sql in SOME]

    assert late.count(True) >= len(SOME) // 2


@pytest.mark.full
@pytest.mark.parametrize("sql", [sql for sql in corpus() if sql not in SOME])
def test_every_recipe_gives_the_same_evidence_with_wide_columns_read_late(
    tmp_path: Path, sql: str
) -> None:
    try:
        is_the_same_read_late(tmp_path, sql)
    except InvalidSql as error:  # on a value, which both name
        with pytest.raises(InvalidSql, match=re.escape(error.message)):
            given(tmp_path, sql).run()


CUT_UP = {
    "one key of the left in pieces": "against_whole",
    "one key beside a preserved left from disk": "from_disk",
}


@pytest.mark.parametrize("name", CUT_UP)
def test_a_bucket_that_is_cut_up_keeps_the_numbers_of_its_rows(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    books = given_ways(tmp_path, case.sql, case.hot)
    whole = books.run()
    share = replace(case.share, whole_bytes=6_000, join_bytes=2_500)

    got = spread(books.recipe(), tmp_path, replace(LATE, buckets=4), share)

    assert got.late
    assert {"divided", CUT_UP[name]} <= set(got.joins)
    assert got.has_the_rows_of(whole)


def test_rows_of_several_windows_are_told_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("kalla_core.fragments.windows", "kalla_core.engine.joins.told"):
        monkeypatch.setattr(f"{module}.WINDOW_ROWS", 8)
    books = given(tmp_path, SOME[0])
    whole = books.run()

    got = spread(books.recipe(), tmp_path, replace(LATE, parts=2))

    assert got.late
    assert got.has_the_rows_of(whole)


def test_sides_without_rows_leave_outputs_without_rows(tmp_path: Path) -> None:
    books = given(tmp_path, SOME[0])
    made = tables(11, 90, 100)
    books.put("left", made.left.slice(0, 0))
    books.put("right", made.right.slice(0, 0))

    got = spread(books.recipe(), tmp_path, LATE)

    assert got.late
    assert [table.num_rows for table in (got.matched, *got.unmatched.values())] == [0, 0, 0]


def test_a_failure_on_a_value_names_the_row_as_a_run_on_one_machine_does(tmp_path: Path) -> None:
    sql = (
        "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.k = r.k "
        "AND 1 / (l.k - l.k) > r.paid"
    )
    books = given(tmp_path, sql)
    with pytest.raises(InvalidSql) as told:
        books.run()

    with pytest.raises(InvalidSql) as got:
        spread(books.recipe(), tmp_path, LATE)

    assert str(got.value) == str(told.value)
