"""The host that runs jobs on this machine: a thread per job that watches over a child process.

The memory limit is divided by the number of jobs that may run at once, so all of them together
keep to it. Cores are not divided: each job may use as many threads as `slots` over the jobs that
run when it starts, at least one; the operating system shares the rest. A big job so holds one
slot for as long as it takes, and small ones pass it in the others.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from kalla_coordinator.jobs.host import RunOrder, Watch, too_late
from kalla_core.engine.budget import MIB
from kalla_core.engine.processes.spawned import Start
from kalla_core.engine.programs.local import RunRequest, Supervision, run_local
from kalla_core.engine.progress import Progress
from kalla_core.errors import Cancelled, DeadlineExceeded
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.sources.protocol import EVERYTHING, SourceAccess

SERVICE_BYTES = 256 * MIB
"""What the coordinator itself and the process that others are forked from keep resident."""

_MOST_THREADS = 64
"""Threads of one job; more than cores do nothing."""


Count = Callable[[Progress | None, Progress], None]


class LocalHost:
    """Runs jobs in child processes of this machine; see `Host`.

    Args:
        most_jobs: how many may run at once.
        memory_bytes: for all of them and the service together.
        slots: cores to use.
        start: how a child is started.
        access: what sources may be reached.
        count: told of each report of a run, with the one before it of the same stage and source.
    """

    name = "local"

    def __init__(
        self,
        most_jobs: int,
        memory_bytes: int,
        slots: int,
        start: Start,
        access: SourceAccess = EVERYTHING,
        count: Count | None = None,
    ) -> None:
        self._count = count
        self._memory_bytes = job_memory_bytes(memory_bytes, most_jobs)
        self._slots = slots
        self._start = start
        self._access = access
        self._running = 0
        self._threads = ThreadPoolExecutor(most_jobs, thread_name_prefix="local-run")

    async def run(self, order: RunOrder, watch: Watch) -> RunMetadata:
        """Carry out a run; see `Host.run`."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        request = self._request(order)
        supervision = Supervision(stop, _asking(loop, watch), self._start)
        self._running += 1
        work = loop.run_in_executor(
            self._threads, run_local, request, _telling(loop, watch, self._count), supervision
        )
        try:
            return await _finished(work, stop)
        except DeadlineExceeded:  # it knows what was left of the time, which nobody asked for
            raise too_late(order) from None
        finally:
            self._running -= 1

    def close(self) -> None:
        """Let go of the threads; runs that go on are ended by whoever cancels them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _request(self, order: RunOrder) -> RunRequest:
        timeout = None
        if order.deadline is not None:
            timeout = order.deadline - datetime.now(UTC)
            if timeout.total_seconds() <= 0:
                raise too_late(order)
        return RunRequest(
            recipe=order.recipe,
            run_id=order.run_id,
            output=order.output,
            memory_limit_bytes=self._memory_bytes,
            threads=min(max(1, self._slots // (self._running + 1)), _MOST_THREADS),
            overwrite=order.overwrite,
            run_attempt=order.run_attempt,
            started_at=order.started_at,
            timeout=timeout,
            access=order.opening(self._access),
            alone=False,
        )


def job_memory_bytes(memory_bytes: int, most_jobs: int) -> int:
    """Return what one of the jobs that run at once may use."""
    return (memory_bytes - SERVICE_BYTES) // most_jobs


async def _finished(work: asyncio.Future[RunMetadata], stop: threading.Event) -> RunMetadata:
    """Wait for a run; when this is cancelled, stop the run and wait until it has let go.

    A run that was past its decision to commit finishes, and its result counts.
    """
    while True:
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if work.cancelled():
                raise
            stop.set()  # and wait on: the thread lets go of the output within two seconds
        except Cancelled:
            if stop.is_set():
                raise asyncio.CancelledError from None
            raise


def _telling(
    loop: asyncio.AbstractEventLoop, watch: Watch, count: Count | None
) -> Callable[[Progress], None]:
    seen: dict[tuple[str, str | None], Progress] = {}

    def tell(report: Progress) -> None:
        if count is not None:
            which = (report.stage.value, report.source)
            count(seen.get(which), report)
            seen[which] = report
        watch.progress(report)

    return lambda progress: _post(loop, tell, progress)


def _post(
    loop: asyncio.AbstractEventLoop, tell: Callable[[Progress], None], progress: Progress
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell, progress)


def _asking(loop: asyncio.AbstractEventLoop, watch: Watch) -> Callable[[], None]:
    def ask() -> None:
        asyncio.run_coroutine_threadsafe(watch.decide_commit(), loop).result()  # type: ignore[arg-type]

    return ask
