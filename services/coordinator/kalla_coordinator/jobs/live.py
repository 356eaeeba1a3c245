"""The jobs that are not over, in memory: what they look like now, and who watches them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from kalla_coordinator.jobs.model import Job
from kalla_coordinator.jobs.record import JobRecord
from kalla_core.errors import KallaError
from kalla_core.recipe.job import JobRequest

_PER_ATTEMPT = 1_000_000_000
"""Numbers for callbacks of one attempt; twice more than progress will ever take."""


class News:
    """Wakes everybody who waits for the next change.

    There are thousands of jobs that wait and nobody watches: nothing is kept for those.
    """

    def __init__(self) -> None:
        self._next: asyncio.Event | None = None

    @property
    def next(self) -> asyncio.Event:
        """Set at the next change; to be taken before one looks at what may change."""
        if self._next is None:
            self._next = asyncio.Event()
        return self._next

    def tell(self) -> None:
        """Wake all who wait."""
        if self._next is not None:
            self._next.set()
            self._next = None


@dataclass(eq=False)
class LiveJob:
    """One job while it is queued or runs, and for its watchers a moment longer.

    Attributes:
        record: as it was stored last, but for progress.
        request: what made it; or why that, as it was stored, cannot be read.
        lock: held while an event is applied, so that events come one after the other.
        work: the task of the host, while it runs.
        found: an earlier process of the coordinator took it in.
        sequence: of the last callback.
    """

    record: JobRecord
    request: JobRequest | KallaError
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    work: asyncio.Task[object] | None = None
    news: News = field(default_factory=News)
    found: bool = False
    sequence: int = 0

    @property
    def job(self) -> Job:
        """The job as it is now."""
        return self.record.job

    def demand_request(self) -> JobRequest:
        """Return what made the job.

        Raises:
            KallaError: it cannot be read.
        """
        if isinstance(self.request, KallaError):
            raise self.request
        return self.request

    def show(self, job: Job) -> None:
        """Show another job to those who ask and watch, without storing it."""
        self.record = replace(self.record, job=job)
        self.news.tell()

    def next_sequence(self) -> int:
        """Return a number for a callback, larger than those of all earlier ones of the run."""
        # Progress is not stored; the attempt is. So numbers of an attempt start above those of
        # earlier ones, and after a restart above those that it may have used already.
        floor = self.job.attempt * _PER_ATTEMPT + (_PER_ATTEMPT // 2 if self.found else 0)
        self.sequence = max(self.sequence, self.record.told, floor) + 1
        return self.sequence


async def watch(live: LiveJob) -> AsyncIterator[Job]:
    """Yield the job as it is, and after each change; changes while nobody looks are one."""
    while True:
        news = live.news.next
        job = live.job
        yield job
        if job.status.final:
            return
        await news.wait()
