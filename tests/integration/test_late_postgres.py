"""Runs over tables of Postgres: the columns that the match SQL names, then unmatched rows whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Filter, FilterOp, Recipe
from kalla_core.sources.postgres.connector import PostgresConnector
from tests.support.postgres import Database, new_database
from tests.support.runs import TIGHT
from tests.support.tables import Ran, Reconciliation, run_recipe

ROWS = 60_000
SQL = """\
SELECT l.id, r.id AS rid, l.amount, r.paid
FROM left_src l JOIN right_src r ON l.id = r.ref AND tolerance_match(l.amount, r.paid, 0.02)"""
NAMED = {"l": {"id", "amount"}, "r": {"id", "ref", "paid"}}
FURTHER = {"booked", "note", *(f"pad{n}" for n in range(12))}
Readings = Counter[tuple[str, str, frozenset[str]]]


@pytest.fixture(scope="module")
def database() -> Database:
    """Two tables: half of the rows match, a quarter miss by the amount, a quarter by the key."""
    made = new_database()
    pads = ", ".join(f"pad{n} text" for n in range(12))
    values = ", ".join(
        f"CASE n % 5 WHEN {n % 5} THEN NULL ELSE lpad(n::text, 60) END" for n in range(12)
    )
    made.run(
        f"CREATE TABLE l (id text, amount numeric(12,2), booked date, note text, {pads})",
        f"CREATE TABLE r (id text, ref text, paid numeric(12,2), booked date, note text, {pads})",
        "INSERT INTO l SELECT 'INV-' || n, n / 4.0, '2026-01-01'::date + n % 90,"
        f" 'note ' || n, {values} FROM generate_series(1, {ROWS}) n",
        f"INSERT INTO r SELECT 'PAY-' || n, 'INV-' || CASE n % 4 WHEN 0 THEN n + {ROWS} ELSE n END,"
        f" n / 4.0 + (n % 4 = 1)::int, NULL, 'note ' || n, {values}"
        f" FROM generate_series(1, {ROWS}) n",
        "ANALYZE",
    )
    return made


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Return a count of the parts that were read, by how, source and columns."""
    seen: Readings = Counter()
    read, pick = PostgresConnector.read, PostgresConnector.pick

    def reading(
        self: PostgresConnector,
        pinned: Any,
        part: Any,
        batch_rows: int = 131_072,
        columns: Collection[str] | None = None,
    ) -> Any:
        names = frozenset(pinned.schema.names if columns is None else columns)
        seen["read", pinned.spec.alias, names] += 1
        return read(self, pinned, part, batch_rows, columns)

    def picking(
        self: PostgresConnector, pinned: Any, part: Any, wanted: Any, columns: Collection[str]
    ) -> Iterator[Any]:
        seen["pick", pinned.spec.alias, frozenset(columns)] += 1
        return pick(self, pinned, part, wanted, columns)

    monkeypatch.setattr(PostgresConnector, "read", reading)
    monkeypatch.setattr(PostgresConnector, "pick", picking)
    return seen


def recipe_over(database: Database, folder: Path, **fields: Any) -> Recipe:
    sides = {s: database.spec(s, s, primary_key=("id",), **fields) for s in ("l", "r")}
    recipe = Reconciliation(folder, SQL).recipe()
    options = replace(recipe.options, partitions=3)
    return replace(recipe, left=sides["l"], right=sides["r"], options=options)


def read_whole(recipe: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    with monkeypatch.context() as patch:
        patch.setattr(PostgresConnector, "is_read_by_column", lambda *_: False)
        return run_recipe(recipe, folder)


@pytest.mark.parametrize("filtered", [False, True], ids=["all", "filtered"])
def test_no_column_is_read_twice_and_the_evidence_is_that_of_whole_rows(
    database: Database,
    tmp_path: Path,
    readings: Readings,
    monkeypatch: pytest.MonkeyPatch,
    filtered: bool,
) -> None:
    filters = (Filter("note", FilterOp.LIKE, "note %1_"),) if filtered else ()
    recipe = recipe_over(database, tmp_path, filters=filters)
    whole = read_whole(recipe, tmp_path, monkeypatch)
    assert set(readings) == {("read", side, frozenset(NAMED[side] | FURTHER)) for side in NAMED}
    readings.clear()

    ran = run_recipe(recipe, tmp_path)

    assert ran.joins == {"late": 1}
    assert ran.has_the_rows_of(whole)
    assert len(ran.pairs) == len(whole.pairs) > ROWS // 50
    assert readings == {
        (how, side, frozenset(columns)): 3
        for side in NAMED
        for how, columns in (("read", NAMED[side]), ("pick", FURTHER))
    }


def test_narrow_rows_go_to_the_spool_where_memory_is_tight(
    database: Database,
    tmp_path: Path,
    readings: Readings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = recipe_over(database, tmp_path)
    whole = read_whole(recipe, tmp_path, monkeypatch)
    readings.clear()

    ran = run_recipe(recipe, tmp_path, replace(TIGHT, join_bytes=2 << 20))

    assert ran.has_the_rows_of(whole)
    assert ran.outcome.sides[Side.LEFT].unmatched == ROWS // 2
    assert readings == {
        (how, side, frozenset(columns)): 3
        for side in NAMED
        for how, columns in (("read", NAMED[side]), ("pick", NAMED[side] | FURTHER))
    }
