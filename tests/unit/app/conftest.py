"""The databases that the app may remember in, each empty at the start of a test."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from kalla_app.store.tables import POSTGRES_SCHEMA
from tests.support.databases import postgres_url


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, postgres: str) -> str | None:
    if request.param == "sqlite":
        return None
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f"DROP SCHEMA IF EXISTS {POSTGRES_SCHEMA} CASCADE")
    finally:
        await connection.close()
    return postgres
