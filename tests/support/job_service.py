"""Jobs in memory, for tests of whatever stands on a `JobService`: the test says what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kalla_coordinator.jobs.caller import STRANGER, Caller
from kalla_core.errors import (
    InvalidSetting,
    JobConflict,
    JobEnded,
    JobNotFound,
    KallaError,
    QueueFull,
)
from kalla_core.ids import RunId
from kalla_core.jobs.model import (
    Counts,
    ExecutorInfo,
    ExecutorShare,
    Job,
    JobError,
    JobPage,
    JobStatus,
    Readiness,
    StageProgress,
)
from kalla_core.recipe.job import JobRequest
from tests.support.evidence import commit_evidence

FIRST = datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC)


@dataclass
class MemoryJobs:
    """A `JobService`; each job is accepted a second after the one before.

    Attributes:
        watchers: how many watches are open.
        broken: what every call raises, if anything.
    """

    folder: Path
    queue_limit: int = 1000
    broken: Exception | None = None
    listed_executors: tuple[ExecutorInfo, ...] = ()
    watchers: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: dict[str, JobRequest] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def submit(self, request: JobRequest, caller: Caller = STRANGER) -> Job:
        self._check()
        if request.run_id in self.jobs:
            if self.requests[request.run_id] != request:
                raise JobConflict(f"Another request has the run id {request.run_id}.")
            return self.jobs[request.run_id]
        queued = [job for job in self.jobs.values() if job.status is JobStatus.QUEUED]
        if len(queued) >= self.queue_limit:
            raise QueueFull(f"{len(queued)} jobs wait already.", retry_after_s=7)
        job = Job(
            run_id=request.run_id,
            recipe_id=request.recipe.recipe_id,
            status=JobStatus.QUEUED,
            accepted_at=FIRST + timedelta(seconds=len(self.jobs)),
            output_path=request.output_path or str(self.folder / request.run_id),
        )
        self.requests[request.run_id] = request
        await self._put(job)
        return job

    async def get(self, run_id: RunId) -> Job:
        self._check()
        if run_id not in self.jobs:
            raise JobNotFound(f"There is no job {run_id}.")
        return self.jobs[run_id]

    async def list(
        self, status: JobStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        self._check()
        found = [job for job in self.jobs.values() if status in (None, job.status)]
        found.sort(key=lambda job: job.accepted_at, reverse=True)
        if cursor is not None:
            try:
                before = datetime.fromisoformat(cursor)
                found = [job for job in found if job.accepted_at < before]
            except (ValueError, TypeError):
                raise InvalidSetting(
                    f"The cursor {cursor!r} is not one that a page gave."
                ) from None
        page = found[:limit]
        more = len(found) > limit
        return JobPage(tuple(page), page[-1].accepted_at.isoformat() if more else None)

    async def watch(self, run_id: RunId) -> AsyncIterator[Job]:
        seen: Job | None = None
        self.watchers += 1
        try:
            while seen is None or not seen.status.final:
                job = await self.get(run_id)
                if job != seen:
                    seen = job
                    yield job
                    continue
                async with self.changed:
                    while self.jobs[run_id] is seen:
                        await self.changed.wait()
        finally:
            self.watchers -= 1

    async def cancel(self, run_id: RunId) -> Job:
        job = await self.get(run_id)
        if job.status.final:
            raise JobEnded(f"The job {run_id} has {job.status.value} already.")
        error = JobError("cancelled", "Somebody asked for the job to stop.", job.stage)
        return await self.change(run_id, status=JobStatus.CANCELLED, error=error)

    async def readiness(self) -> Readiness:
        if self.broken is not None:
            return Readiness(False, f"store_unavailable: {self.broken}")
        return Readiness(True)

    async def executors(self) -> tuple[ExecutorInfo, ...]:
        self._check()
        return self.listed_executors

    async def change(self, run_id: str, **fields: Any) -> Job:
        """Let something happen to a job."""
        return await self._put(replace(self.jobs[run_id], **fields))

    async def begin(self, run_id: str) -> Job:
        """Let a job begin to match."""
        stages = (
            StageProgress("staging", "invoices", 1, 1, 5, 5, 100, 100),
            StageProgress("staging", "payments", 1, 1, 5, 5, 100, 100),
            StageProgress("matching", None, 1, 4, 3, 10),
        )
        return await self.change(
            run_id,
            status=JobStatus.RUNNING,
            stage="matching",
            stages=stages,
            attempt=1,
            engine="cluster",
            strategy="copartition",
            executors=("east", "west"),
            workers=(ExecutorShare("east", 2, 1, 900, 4096), ExecutorShare("west", 1, 0, 100)),
            started_at=FIRST,
            counts=Counts(matched=2, total_left=5, total_right=5),
        )

    async def succeed(self, run_id: str, *, matched: int = 3, left: int = 2, right: int = 1) -> Job:
        """Let a job leave evidence and end well."""
        output = Path(self.jobs[run_id].output_path)
        commit_evidence(output, run_id, matched=matched, left=left, right=right)
        names = ("matched", "unmatched_left", "unmatched_right")
        return await self.change(
            run_id,
            status=JobStatus.SUCCEEDED,
            stage=None,
            ended_at=FIRST + timedelta(seconds=9),
            output_paths={name: str(output / f"{name}.parquet") for name in names},
            counts=Counts(matched, left, right, matched, matched, matched + left, matched + right),
            durations_s={"staging": 0.5, "matching": 1.5},
        )

    async def fail(self, run_id: str, error: KallaError) -> Job:
        """Let a job fail."""
        told = JobError(error.code, error.message, "matching", dict(error.details))
        return await self.change(run_id, status=JobStatus.FAILED, error=told)

    async def _put(self, job: Job) -> Job:
        async with self.changed:
            self.jobs[job.run_id] = job
            self.changed.notify_all()
        return job

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken
