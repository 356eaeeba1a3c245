"""What each executor does for a run that goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
from fastapi import FastAPI

from kalla_app.context import App
from kalla_app.pages.runs import run_pages
from kalla_app.runs.life import RunState, RunStatus
from kalla_app.runs.shares import Shares
from kalla_app.store.runs import Run
from kalla_core.errors import StoreUnavailable
from kalla_core.ids import RunId
from kalla_core.jobs.model import ExecutorShare, Job, JobStatus

LONG_S = 3600.0
WORKERS = (ExecutorShare("one", 3, 1, 1200, 2048), ExecutorShare("<i>two", 1, 0, 300))
JOB = Job(
    RunId("r"),
    "books",
    JobStatus.RUNNING,
    datetime(2026, 5, 1, tzinfo=UTC),
    "/out",
    engine="cluster",
    workers=WORKERS,
)


@dataclass
class Desk:
    """A coordinator that counts how often it is asked."""

    job: Job = JOB
    asked: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, _run_id: RunId) -> Job:
        self.asked += 1
        await self.open.wait()
        return self.job


async def test_twenty_who_watch_ask_the_coordinator_once_also_where_one_leaves() -> None:
    desk = Desk()
    shares = Shares(desk.get, LONG_S, LONG_S)
    asking = [asyncio.create_task(shares.of("r")) for _ in range(20)]
    while not desk.asked:
        await asyncio.sleep(0)
    asking.pop(0).cancel()
    desk.open.set()

    async with asyncio.timeout(60):
        told = await asyncio.gather(*asking)

    assert told == [WORKERS] * 19
    assert desk.asked == 1


async def test_it_is_asked_anew_when_an_answer_is_old() -> None:
    desk = Desk()
    desk.open.set()
    shares = Shares(desk.get, 0, LONG_S)

    async with asyncio.timeout(60):
        await shares.of("r")
        while desk.asked < 3:
            await shares.of("r")
            await asyncio.sleep(0)


async def test_a_run_of_one_machine_or_no_answer_has_no_shares() -> None:
    async def broken(_run_id: RunId) -> Job:
        raise StoreUnavailable("The coordinator does not answer.")

    alone = Desk(replace(JOB, engine="local"))
    alone.open.set()

    async with asyncio.timeout(60):
        found = [
            await Shares(ask, LONG_S, patience_s).of("r")
            for ask, patience_s in ((alone.get, LONG_S), (broken, LONG_S), (Desk().get, 0))
        ]

    assert found == [(), (), ()]


async def panel(job: Job, status: RunStatus) -> tuple[str, int]:
    """Return the panel of a run, and how often the coordinator was asked for it."""
    desk = Desk(job)
    desk.open.set()
    state = RunState(status, stage="matching")
    run = Run("r", "books", 1, "Books", state, "anna", job.accepted_at, job.accepted_at, None)

    async def get(_run_id: str) -> Run:
        return run

    app: Any = SimpleNamespace(
        runs=SimpleNamespace(get=get), shares=Shares(desk.get, LONG_S, LONG_S), people=("anna",)
    )
    served = FastAPI()
    served.include_router(run_pages(cast("App", app)))
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        return (await http.get("/runs/r/panel")).text, desk.asked


async def test_the_panel_shows_them_while_a_cluster_runs_and_only_then() -> None:
    async with asyncio.timeout(60):
        going_on, _ = await panel(JOB, RunStatus.RUNNING)
        alone, _ = await panel(replace(JOB, engine="local"), RunStatus.RUNNING)
        ended, asked = await panel(JOB, RunStatus.CANCELLED)

    table = going_on.partition("<tbody>")[2].partition("</tbody>")[0]
    assert [row.count("</td>") for row in table.split("</tr>")[:-1]] == [4, 4]
    assert all(text in table for text in (">3<", "1\N{NARROW NO-BREAK SPACE}200", "2 KiB", "0 B"))
    assert "&lt;i&gt;two" in table
    assert "<i>two" not in going_on
    assert "By executor" not in alone + ended
    assert asked == 0
