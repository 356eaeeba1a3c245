"""A job store has one owner at a time, in every database that it may lie in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from kalla_coordinator.jobs.store import JobStore, open_store
from kalla_core.errors import ShuttingDown, StoreUnavailable
from kalla_core.ids import RunId
from tests.unit.coordinator.test_store import record

PATIENCE_S = 60


async def test_a_second_owner_waits_until_the_first_is_gone(
    database_url: str | None, tmp_path: Path
) -> None:
    waits, taken = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def waiting() -> AsyncIterator[asyncio.Event]:
        waits.set()
        yield asyncio.Event()

    async def second() -> None:
        async with open_store(database_url, tmp_path, waiting):
            taken.set()

    async with open_store(database_url, tmp_path) as store:
        waiter = asyncio.create_task(second())
        await asyncio.wait_for(waits.wait(), PATIENCE_S)
        await store.add(record("kept"))
        taken_early = taken.is_set()
        await store.forget(RunId("kept"))

    await asyncio.wait_for(waiter, PATIENCE_S)
    assert not taken_early
    assert taken.is_set()


async def test_one_that_will_not_wait_is_told_whose_the_store_is(
    database_url: str | None, tmp_path: Path
) -> None:
    async with open_store(database_url, tmp_path):
        with pytest.raises(StoreUnavailable, match="Another coordinator"):
            async with open_store(database_url, tmp_path):
                pass


async def test_one_that_is_told_to_end_waits_no_longer(
    database_url: str | None, tmp_path: Path
) -> None:
    told = asyncio.Event()
    told.set()

    @asynccontextmanager
    async def waiting() -> AsyncIterator[asyncio.Event]:
        yield told

    async with open_store(database_url, tmp_path):
        with pytest.raises(ShuttingDown):
            async with open_store(database_url, tmp_path, waiting):
                pass


async def test_a_lock_file_that_was_taken_away_is_made_anew(tmp_path: Path) -> None:
    async with open_store(None, tmp_path):
        (tmp_path / "jobs.sqlite.lock").unlink()

    async with open_store(None, tmp_path) as store:
        await store.check()

        assert (tmp_path / "jobs.sqlite.lock").stat().st_mode & 0o777 == 0o600


async def test_an_owner_whose_connection_broke_goes_on_when_nobody_came_between(
    postgres: str, tmp_path: Path
) -> None:
    async with open_store(postgres, tmp_path) as store:
        await _cut_the_owner_off(store)
        async with asyncio.timeout(20):
            while not await _kept(store, "kept"):
                await asyncio.sleep(0)

        assert await store.find(RunId("kept")) is not None
        await store.forget(RunId("kept"))


async def test_an_owner_that_another_came_after_writes_nothing_more_and_ends(
    postgres: str, tmp_path: Path
) -> None:
    async with open_store(postgres, tmp_path) as first:
        await _cut_the_owner_off(first)
        async with open_store(postgres, tmp_path):
            pass  # it came and went

        await asyncio.wait_for(first.lost(), 20)
        with pytest.raises(ShuttingDown, match="taken the job store over"):
            await first.add(record("late"))
        assert await first.find(RunId("late")) is None


async def _cut_the_owner_off(store: JobStore) -> None:
    ends = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
        " WHERE locktype = 'advisory' AND objid = 5207318 AND granted"
    )
    async with store._engine.connect() as connection:
        assert (await connection.execute(ends)).scalars().all() == [True]


async def _kept(store: JobStore, name: str) -> bool:
    """Whether a job is stored; the first try may find that the connection is gone."""
    try:
        await store.add(record(name))
    except StoreUnavailable:
        return False
    return True
