"""What has a name is found by a part of it, on either database, and signs of SQL are letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from kalla_app.runs.life import RunState
from kalla_app.store import runs
from kalla_app.store.database import Database, opened
from kalla_app.store.names import Names, named
from kalla_app.store.tables import RECIPES, SOURCES
from kalla_app.store.vault import open_vault

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RECIPE = {"version": 1, "created_at": 0, "updated_at": 0, "removed": 0}
SOURCE = {
    "uri": "a.csv",
    "source_type": "file",
    "reading": "{}",
    "status": "ready",
    "columns": "[]",
    "created_at": 0,
    "updated_at": 0,
}
NAMES = {"books": "The Books", "b%": "100 % of it", "b_": "under_score", "gone": "The Books of old"}


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    vault = open_vault(None, tmp_path)
    async with opened(database_url, tmp_path) as database:
        async with database.writing() as connection:
            for recipe_id, name in NAMES.items():
                row = RECIPE | {"recipe_id": recipe_id, "name": name}
                await connection.execute(insert(RECIPES).values(row))
            gone = update(RECIPES).where(RECIPES.c.recipe_id == "gone")
            await connection.execute(gone.values(removed=1))
            for alias in ("bank_2026", "ledger"):
                await connection.execute(insert(SOURCES).values(SOURCE | {"alias": alias}))
            for number in range(3):
                at = NOW + timedelta(days=number)
                made = runs.Run(
                    f"r{number}", "books", 1, "The Books", RunState(), "anna", at, at, None
                )
                request = runs.Request({}, None, "http://app/api/worker")
                await runs.add(connection, made, request, vault)
        yield database


async def find(database: Database, text: str, limit: int = 10) -> Names:
    async with database.reading() as connection:
        return await named(connection, text, limit)


async def test_names_and_ids_are_found_in_whatever_case_the_newest_runs_first(
    database: Database,
) -> None:
    found = await find(database, "BOOK")

    assert found.recipes == (("books", "The Books"),)
    assert found.sources == ()
    assert [one[:2] for one in found.runs] == [(f"r{n}", "The Books") for n in (2, 1, 0)]
    assert (await find(database, "r1")).runs[0][0] == "r1"
    assert (await find(database, "edge")).sources == ("ledger",)


async def test_of_everything_there_are_only_so_many(database: Database) -> None:
    found = await find(database, "", 2)

    assert found.recipes == (("b%", "100 % of it"), ("books", "The Books"))
    assert found.sources == ("bank_2026", "ledger")
    assert [one[0] for one in found.runs] == ["r2", "r1"]


@pytest.mark.parametrize(
    ("text", "recipes"),
    [("%", ["b%"]), ("_", ["b_"]), ("/", []), ("\\", []), ("' OR 1=1 --", []), ("o%k", [])],
)
async def test_signs_of_patterns_and_of_sql_are_letters(
    database: Database, text: str, recipes: list[str]
) -> None:
    found = await find(database, text)

    assert [one for one, _ in found.recipes] == recipes
    assert found.sources == (("bank_2026",) if text == "_" else ())
    assert found.runs == ()
