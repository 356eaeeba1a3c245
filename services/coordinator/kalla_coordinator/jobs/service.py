"""What the coordinator offers to whoever speaks to it over HTTP, gRPC or Flight."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from kalla_coordinator.jobs.caller import STRANGER, Caller
from kalla_coordinator.jobs.model import ExecutorInfo, Job, JobPage, JobStatus, Readiness
from kalla_core.ids import RunId
from kalla_core.recipe.job import JobRequest


class JobService(Protocol):
    """Jobs and executors, for the APIs. Asyncio, one event loop.

    `StoreUnavailable` may come from every method that reads or writes jobs.
    """

    async def submit(self, request: JobRequest, caller: Caller = STRANGER) -> Job:
        """Store a job and return it; the same request again returns the job it made.

        Args:
            request: what is asked for.
            caller: to whom the output will belong, and whose sources are read.

        Raises:
            JobConflict: another request has this run id.
            QueueFull: too many jobs wait; carries `retry_after_s`.
            ShuttingDown: no new jobs any more.
            KallaError: whatever else is wrong with the request (an output path or callback host
                that is not allowed, evidence of another's run as a source, ...).
        """
        ...

    async def get(self, run_id: RunId) -> Job:
        """Return a job.

        Raises:
            JobNotFound: there is none of this id.
        """
        ...

    async def list(
        self, status: JobStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first.

        Raises:
            InvalidSetting: the cursor is not one that a page gave.
        """
        ...

    def watch(self, run_id: RunId) -> AsyncIterator[Job]:
        """Yield the job as it is and after each change, coalesced; ends with its final state.

        Raises:
            JobNotFound: there is none of this id.
        """
        ...

    async def cancel(self, run_id: RunId) -> Job:
        """Ask for a job to stop; returns at once, the job may still be running.

        Raises:
            JobNotFound: there is none of this id.
            JobEnded: it has ended, or its evidence is being committed.
        """
        ...

    async def readiness(self) -> Readiness:
        """Say whether a job could be taken now."""
        ...

    async def executors(self) -> tuple[ExecutorInfo, ...]:
        """Return the executors that are registered."""
        ...
