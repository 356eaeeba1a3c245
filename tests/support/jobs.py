"""Jobs for tests: requests, stored jobs with hosts that do as told, waiting for what a job is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kalla_coordinator.callbacks.outbox import Outbox
from kalla_coordinator.jobs.admission import Places
from kalla_coordinator.jobs.allowed import Allowed
from kalla_coordinator.jobs.engines import Engines
from kalla_coordinator.jobs.host import RunOrder, Watch
from kalla_coordinator.jobs.ledger import Ledger
from kalla_coordinator.jobs.model import Job
from kalla_coordinator.jobs.outputs import Outputs, Owners
from kalla_coordinator.jobs.recovery import FindEvidence, find_evidence, look_further, recover
from kalla_coordinator.jobs.room import Room
from kalla_coordinator.jobs.runner import Runner
from kalla_coordinator.jobs.store import JobStore, open_store
from kalla_coordinator.jobs.stored_jobs import StoredJobs
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.engine.progress import Progress, Stage
from kalla_core.errors import KallaError
from kalla_core.evidence.metadata import RunMetadata, SideSummary, WrittenFile
from kalla_core.ids import RunId
from kalla_core.recipe.job import JobRequest, parse_job_request

PATIENCE_S = 60


@dataclass
class Remembered:
    """Who made which outputs, as the test says."""

    made: dict[str, set[str]] = field(default_factory=dict)

    async def owners(self, places: Collection[str], below: Collection[str] = ()) -> Owners:
        return {
            place: who
            for place, who in self.made.items()
            if place in places or place.startswith(tuple(below))
        }


def request(run_id: str = "run-1", sql: str = "SELECT 1", **more: Any) -> JobRequest:
    """A request that no engine looks at."""
    return parse_job_request(
        {
            "run_id": run_id,
            "match_sql": sql,
            "sources": [
                {"alias": "left_src", "uri": "postgres://u:secret@host/db?table=l"},
                {"alias": "right_src", "uri": "r.csv"},
            ],
            "primary_keys": {"left_src": ["id"], "right_src": ["id"]},
            **more,
        }
    )


def metadata(order: RunOrder) -> RunMetadata:
    """What a run that found one pair tells."""
    side = SideSummary("somewhere", 3, 1, 2, 0, 0, 0, {})
    names = ("matched", "unmatched_left", "unmatched_right")
    return RunMetadata(
        run_id=order.run_id,
        recipe_id=order.recipe.recipe_id,
        started_at=order.started_at,
        completed_at=datetime.now(UTC),
        left=side,
        right=side,
        matched_count=1,
        recipe={},
        engine="local",
        strategy="copartition",
        files=tuple(WrittenFile(f"{name}.parquet", 1, 1, "") for name in names),
        durations={"staging": 0.1},
        versions={},
        extras={},
    )


@dataclass
class PuppetHost:
    """A host that works until it is let go, run by run."""

    name: str = "local"
    orders: list[RunOrder] = field(default_factory=list)
    free: bool = False
    error: KallaError | None = None
    committed: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    watches: dict[str, Watch] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, order: RunOrder, watch: Watch) -> RunMetadata:
        self.orders.append(order)
        self.watches[order.run_id] = watch
        watch.progress(Progress(Stage.STAGING, source="left_src", rows_done=1, rows_total=2))
        try:
            if not self.free:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped.append(order.run_id)
            raise
        if self.error is not None:
            raise self.error
        await watch.decide_commit()
        self.committed.append(order.run_id)
        return metadata(order)


@dataclass
class Office:
    """A stored_jobs with everything behind it but servers."""

    stored_jobs: StoredJobs
    store: JobStore
    metrics: CoordinatorMetrics

    async def until(self, run_id: str, *statuses: str) -> Job:
        """Wait until a job has one of the statuses."""
        async with asyncio.timeout(PATIENCE_S):
            async for job in self.stored_jobs.watch(RunId(run_id)):
                if job.status.value in statuses:
                    return job
        raise AssertionError(f"the job ended as {job.status}, not {statuses}")


@asynccontextmanager
async def office(
    staging: Path,
    host: PuppetHost,
    *,
    most_running: int = 2,
    most_waiting: int = 10,
    database_url: str | None = None,
    find: FindEvidence = find_evidence,
) -> AsyncIterator[Office]:
    """Open a stored_jobs, as `app` does, and recover what is there."""
    metrics = CoordinatorMetrics()
    async with open_store(database_url, staging) as store, Outbox(store, metrics) as outbox:
        places = Places(most_running, most_waiting)
        runner = Runner(Ledger(store, outbox), Engines(host), metrics, places)
        for delivery in await store.owed():
            outbox.owe(delivery)
        unseen = await recover(store, runner, find)
        looking = asyncio.create_task(look_further(runner, unseen, find, look_again_s=0.01))
        try:
            outputs = Outputs(Allowed(staging), store)
            yield Office(StoredJobs(store, runner, outputs, Room(staging)), store, metrics)
        finally:
            runner.draining = True
            tasks = [*runner._tasks, looking]  # as a crash: nobody writes anything down
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
