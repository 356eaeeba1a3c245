"""Files of ages go when nobody needs them, and never the one that the next is made from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq
import pytest

from kalla_app.evidence.place import EvidencePlace
from kalla_app.exceptions.ages import Ages
from kalla_app.exceptions.policy import Policy
from kalla_app.runs.life import Accepted, Completed, RunState
from kalla_app.store import policies, runs
from kalla_app.store.database import Database, opened
from kalla_app.store.runs import Request, Run
from kalla_app.store.vault import open_vault
from kalla_core.errors import EvidenceGone
from kalla_core.jobs.model import Counts
from tests.unit.app.test_ages import evidence

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)


class Here:
    """Evidence in a folder per run; of runs that have none it is gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def folder(self, run: Run) -> Path:
        folder = self._folder / run.run_id
        if not folder.exists():
            raise EvidenceGone("It is gone.")
        return folder


class World:
    """Runs of a recipe, one a day, and the files of their ages."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.evidence = folder / "evidence"
        self.evidence.mkdir()
        self.files = folder / "ages"
        place = cast("EvidencePlace", Here(self.evidence))
        self.ages = Ages(database, place, self.files)
        self._vault = open_vault(None, folder)

    async def run(self, number: int, keys: list[str]) -> Run:
        at = FIRST + timedelta(days=number)
        made = Run(f"r-{number}", "books", 1, "Books", RunState(), "anna", at, at, None)
        async with self.database.writing() as connection:
            await runs.add(connection, made, Request({}, None, "http://app"), self._vault)
            for news in (Accepted(), Completed(Counts(unmatched_left=len(keys)), {})):
                await runs.change(connection, made.run_id, news)
            found = await runs.find(connection, made.run_id)
        evidence(self.evidence / made.run_id, keys)
        assert found is not None
        return found

    async def file(self, run: Run) -> Path:
        async with self.database.reading() as connection:
            policy = await policies.find(connection, run.recipe_id)
        return await self.ages.file(run, policy)

    def grow_old(self) -> None:
        for path in self.files.iterdir():
            os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))

    def left(self) -> list[str]:
        return sorted(path.name.rpartition("-")[0] for path in self.files.iterdir())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(None, tmp_path) as database:
        yield World(database, tmp_path)


async def test_only_the_file_of_the_newest_run_stays_for_good(world: World) -> None:
    for number in range(3):
        await world.file(await world.run(number, ["a"]))
    world.grow_old()

    swept = await world.ages.sweep(NOW - MONTH)

    assert swept == 2
    assert world.left() == ["r-2"]


async def test_rows_stay_as_old_as_they_are_when_all_but_the_last_file_went(world: World) -> None:
    for number in range(2):
        await world.file(await world.run(number, ["a"]))
    world.grow_old()
    await world.ages.sweep(NOW - MONTH)
    for number in range(2):
        (world.evidence / f"r-{number}").rename(world.evidence / f"gone-{number}")

    path = await world.file(await world.run(2, ["a", "b"]))

    assert pq.read_table(path).column("first_seen_run").to_pylist() == ["r-0", "r-2"]


async def test_a_file_that_a_later_one_has_yet_to_be_made_from_stays(world: World) -> None:
    await world.file(await world.run(0, ["a"]))
    await world.run(1, ["a"])  # nobody has looked at it yet
    world.grow_old()

    assert await world.ages.sweep(NOW - MONTH) == 0


async def test_what_was_needed_of_late_stays(world: World) -> None:
    first = await world.run(0, ["a"])
    await world.file(first)
    await world.file(await world.run(1, ["a"]))
    world.grow_old()
    await world.file(first)

    assert await world.ages.sweep(NOW - MONTH) == 0
    assert world.left() == ["r-0", "r-1"]


async def test_what_no_run_and_no_policy_has_any_more_goes(world: World) -> None:
    run = await world.run(0, ["a"])
    await world.file(run)
    async with world.database.writing() as connection:
        await policies.put(connection, run.recipe_id, Policy(left="booked"))
    await world.file(run)
    for name in ("nobody-12345678.parquet", f".{run.run_id}-12345678.parquet.9f"):
        (world.files / name).write_bytes(b"half")
    world.grow_old()

    swept = await world.ages.sweep(NOW - MONTH)

    assert swept == 3
    kept = [path.name for path in world.files.iterdir()]
    assert kept == [(await world.file(run)).name]


async def test_without_any_file_there_is_nothing_to_remove(world: World) -> None:
    assert await world.ages.sweep(NOW) == 0
