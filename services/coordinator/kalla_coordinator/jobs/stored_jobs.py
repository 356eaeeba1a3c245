"""The `JobService`: takes requests, answers questions, passes on wishes to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kalla_coordinator.jobs import admission
from kalla_coordinator.jobs.caller import STRANGER, Caller
from kalla_coordinator.jobs.life import CancelAsked, Queued, RefuseCancel
from kalla_coordinator.jobs.live import LiveJob, watch
from kalla_coordinator.jobs.model import ExecutorInfo, Job, JobPage, JobStatus, Readiness
from kalla_coordinator.jobs.outputs import Outputs, Terms
from kalla_coordinator.jobs.record import JobRecord, fingerprint, request_text
from kalla_coordinator.jobs.room import Room
from kalla_coordinator.jobs.runner import Runner
from kalla_coordinator.jobs.store import JobStore
from kalla_core.errors import (
    JobEnded,
    JobNotFound,
    KallaError,
    QueueFull,
    ShuttingDown,
    StoreUnavailable,
)
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger
from kalla_core.observe.tracing import incoming, span
from kalla_core.recipe.job import JobRequest

_MOST_PER_PAGE = 1000
_CHECK_PATIENCE_S = 2.0
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class StoredJobs:
    """See `JobService`. Asyncio, one event loop."""

    store: JobStore
    runner: Runner
    outputs: Outputs
    room: Room
    _arriving: dict[RunId, asyncio.Event] = field(default_factory=dict)
    _submissions: set[asyncio.Task[Job]] = field(default_factory=set)
    _last: datetime = _LONG_AGO

    async def submit(self, request: JobRequest, caller: Caller = STRANGER) -> Job:
        """Store a job and return it; see `JobService`."""
        # A caller who goes away meanwhile must not leave a job on disk that nobody runs.
        submission = asyncio.create_task(
            self._in_turn(request, caller), name=f"submit-{request.run_id}"
        )
        self._submissions.add(submission)
        submission.add_done_callback(self._submissions.discard)
        return await asyncio.shield(submission)

    async def _in_turn(self, request: JobRequest, caller: Caller) -> Job:
        with span("kalla.submit", incoming.get(), run_id=request.run_id) as submitting:
            return await self._one_of_its_run_id(request, caller, submitting.trace)

    async def _one_of_its_run_id(self, request: JobRequest, caller: Caller, trace: str) -> Job:
        while (other := self._arriving.get(request.run_id)) is not None:
            await other.wait()  # two requests of one run id: the second sees what the first made
        arrived = self._arriving[request.run_id] = asyncio.Event()
        try:
            return await self._submit(request, caller, trace)
        finally:
            del self._arriving[request.run_id]
            arrived.set()

    async def get(self, run_id: RunId) -> Job:
        """Return a job; see `JobService`."""
        live = self.runner.live.get(run_id)
        return live.job if live is not None else (await self._found(run_id)).job

    async def list(
        self, status: JobStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs; see `JobService`."""
        page = await self.store.page(status, min(max(limit, 1), _MOST_PER_PAGE), cursor)
        return JobPage(tuple(self._now(job) for job in page.jobs), page.cursor)

    async def watch(self, run_id: RunId) -> AsyncIterator[Job]:
        """Yield a job as it changes; see `JobService`."""
        live = self.runner.live.get(run_id)
        if live is None:
            yield (await self._found(run_id)).job
            return
        async for job in watch(live):
            yield job

    async def cancel(self, run_id: RunId) -> Job:
        """Ask for a job to stop; see `JobService`."""
        live = self.runner.live.get(run_id)
        if live is None:
            raise _ended((await self._found(run_id)).job)
        actions = await self.runner.ledger.apply(live, CancelAsked())
        if RefuseCancel() in actions:
            raise _ended(live.job)
        get_logger().info("cancel_asked", run_id=run_id)
        await self.runner.stop(live, actions)
        return live.job

    async def readiness(self) -> Readiness:
        """Say whether a job could be taken now; see `JobService`."""
        if self.runner.draining:
            return Readiness(False, "draining: the coordinator is shutting down")
        places = self.runner.places
        if places.full:
            return Readiness(False, f"queue_full: {len(places.waiting)} jobs wait already")
        try:
            async with asyncio.timeout(_CHECK_PATIENCE_S):
                if (reason := await self.room.missing()) is not None:
                    return Readiness(False, reason)
                await self.store.check()
        except (StoreUnavailable, ShuttingDown, TimeoutError):
            return Readiness(False, "store_unavailable: the job store cannot be written")
        return Readiness(True)

    async def executors(self) -> tuple[ExecutorInfo, ...]:
        """Return the executors that are registered; see `JobService`."""
        return self.runner.engines.executors.infos()

    async def _submit(self, request: JobRequest, caller: Caller, trace: str) -> Job:
        text = request_text(request)
        found = await self._known_or_terms(request, caller)
        known = found if isinstance(found, JobRecord) else None
        if known is None and self.runner.draining:
            raise ShuttingDown("The coordinator is shutting down; submit to the next one.")
        if isinstance(found, JobRecord):
            record = found
        else:
            record = replace(self._record(request, text, found, caller), trace=trace)
        if self._has_place(request.run_id, text, known):
            earlier = await self._add(record)
            if earlier is None:
                get_logger().info(
                    "job_accepted", run_id=request.run_id, recipe_id=record.job.recipe_id
                )
                self.runner.take(LiveJob(record, request))
                return record.job
            record = earlier
            self._has_place(request.run_id, text, earlier)  # it has, or this is a conflict
        if not record.job.status.final and request.run_id not in self.runner.live:
            # It got to disk although the store had said, or seemed, that it did not.
            self.runner.take(LiveJob(record, request))
        return record.job

    async def _known_or_terms(self, request: JobRequest, caller: Caller) -> JobRecord | Terms:
        """Return the job of a run id, where that must be known before a job is stored.

        Else what the new one may do: the store tells when it is added whether there is another,
        which saves one question to it.
        """
        live = self.runner.live.get(request.run_id)
        if live is not None:
            return live.record
        try:
            terms = await self.outputs.terms(request, caller)
        except KallaError:
            known = await self.store.find(request.run_id)
            if known is None:
                raise
            return known
        if self.runner.places.full or self.runner.draining:
            return await self.store.find(request.run_id) or terms
        return terms

    def _has_place(self, run_id: RunId, text: str, known: JobRecord | None) -> bool:
        """Give a new job its place; False for one that is known, whose request is the same.

        Raises:
            JobConflict, QueueFull: see `admission.admit`.
        """
        runner = self.runner
        before = None if known is None else known.fingerprint
        try:
            places = admission.admit(runner.places, run_id, fingerprint(text), before, runner.job_s)
        except QueueFull:
            runner.metrics.refused.inc()
            raise
        if places is None:
            return False
        runner.places = places  # before the store is asked: others come meanwhile
        return True

    async def _add(self, record: JobRecord) -> JobRecord | None:
        """Store a job that has its place, which it loses if the run id has a job already."""
        try:
            earlier = await self.store.add(record)
        except BaseException:
            self.runner.release(record.job.run_id)
            raise
        if earlier is not None:
            self.runner.release(record.job.run_id)
        return earlier

    async def _found(self, run_id: RunId) -> JobRecord:
        record = await self.store.find(run_id)
        if record is None:
            raise JobNotFound(f"There is no job of the run id {run_id}.", run_id=run_id)
        return record

    def _record(self, request: JobRequest, text: str, terms: Terms, caller: Caller) -> JobRecord:
        job = Job(
            run_id=request.run_id,
            recipe_id=request.recipe.recipe_id,
            status=JobStatus.QUEUED,
            accepted_at=self._now_in_order(),
            output_path=terms.output,
        )
        return JobRecord(
            job,
            Queued(),
            text,
            request.callback_url,
            submitter=caller.name or "",
            reads=terms.reads,
        )

    def _now_in_order(self) -> datetime:
        """Return a time later than that of the job before, so that jobs are listed in order."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    def _now(self, job: Job) -> Job:
        live = self.runner.live.get(job.run_id)
        return job if live is None else live.job


def _ended(job: Job) -> JobEnded:
    if job.status.final:
        return JobEnded(f"The job {job.run_id} has ended already: {job.status.value}.")
    return JobEnded(f"The evidence of the job {job.run_id} is being committed already.")
