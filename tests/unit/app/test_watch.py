"""However many watch a run, it is read once for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from kalla_app.changes import Changes
from kalla_app.runs.life import RunState, RunStatus
from kalla_app.runs.watch import Watches
from kalla_app.store.runs import Run
from kalla_core.errors import StoreUnavailable

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = Run("r", "books", 1, "Books", RunState(), "anna", NOW, NOW, None)
PATIENCE_S = 60


@dataclass
class Desk:
    """Holds one run, and counts how often it is read."""

    changes: Changes = field(default_factory=Changes)
    run: Run = RUN
    reads: int = 0
    broken: bool = False

    async def read(self, _run_id: str) -> Run:
        self.reads += 1
        if self.broken:
            raise StoreUnavailable("The app's database does not answer.")
        return self.run

    def becomes(self, **fields: object) -> None:
        self.run = replace(self.run, state=replace(self.run.state, **fields))  # type: ignore[arg-type]
        self.changes.tell("r")


async def watched(watches: Watches, seen: list[str]) -> None:
    async for event in watches.events("r"):
        seen += [json.loads(event[6:])["status"]]


async def all_have(seen: list[list[str]], count: int) -> None:
    while any(len(one) < count for one in seen):
        await asyncio.sleep(0)


async def test_twenty_viewers_are_told_the_same_by_one_reader() -> None:
    desk, seen = Desk(), [[] for _ in range(20)]  # type: tuple[Desk, list[list[str]]]
    watches = Watches(desk.read, desk.changes, asyncio.Event())

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for one in seen:
            group.create_task(watched(watches, one))
        await all_have(seen, 1)
        first = desk.reads
        desk.becomes(status=RunStatus.RUNNING)
        await all_have(seen, 2)
        second = desk.reads
        desk.becomes(status=RunStatus.SUCCEEDED)

    assert all(one == ["submitted", "running", "succeeded"] for one in seen)
    assert first == 1
    assert second - first < 20  # it may have looked again by itself, but not for each of them


async def test_a_run_that_nobody_watches_any_more_is_not_read() -> None:
    desk, seen = Desk(), list[str]()
    watches = Watches(desk.read, desk.changes, asyncio.Event())
    tasks = asyncio.all_tasks()

    async with asyncio.timeout(PATIENCE_S):
        watching = asyncio.create_task(watched(watches, seen))
        await all_have([seen], 1)
        watching.cancel()
        await asyncio.wait([watching])
        again = list[str]()
        other = asyncio.create_task(watched(watches, again))
        await all_have([again], 1)
        other.cancel()
        await asyncio.wait([other])

    assert (seen, again, desk.reads) == (["submitted"], ["submitted"], 2)
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("stops", ["the app", "the database"])
async def test_viewers_do_not_wait_for_what_comes_no_more(stops: str) -> None:
    desk, closing, seen = Desk(), asyncio.Event(), [list[str]() for _ in range(3)]
    watches = Watches(desk.read, desk.changes, closing)

    async with asyncio.timeout(PATIENCE_S):
        viewers: list[Awaitable[None]] = [
            asyncio.create_task(watched(watches, one)) for one in seen
        ]
        await all_have(seen, 1)
        if stops == "the app":
            closing.set()
        else:
            desk.broken = True
        desk.changes.tell("r")
        outcomes = await asyncio.gather(*viewers, return_exceptions=True)

    kind = type(None) if stops == "the app" else StoreUnavailable
    assert [type(one) for one in outcomes] == [kind] * 3
