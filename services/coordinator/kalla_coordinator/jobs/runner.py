"""Runs jobs: each gets a slot, a host that works on it, and what became of it is written down.

It does as `admission` and `life` say. A store that does not answer for a moment is asked again:
what has happened to a job is not lost while this process lives, and is found out again by the
next one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kalla_coordinator.jobs import admission
from kalla_coordinator.jobs.admission import Places
from kalla_coordinator.jobs.engines import Engines
from kalla_coordinator.jobs.host import Host, RunOrder, Watch
from kalla_coordinator.jobs.ledger import Ledger
from kalla_coordinator.jobs.life import (
    Action,
    AllowCommit,
    CommitAsked,
    Committing,
    Event,
    HandedOver,
    Run,
    Running,
    Started,
    Stop,
    WorkFailed,
    WorkSucceeded,
)
from kalla_coordinator.jobs.live import LiveJob
from kalla_coordinator.jobs.model import ExecutorShare, JobError, JobStatus
from kalla_coordinator.jobs.patience import StorePatience
from kalla_coordinator.jobs.stages import succeeded, with_progress
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.engine.progress import Progress
from kalla_core.error_json import answer
from kalla_core.errors import (
    Cancelled,
    EngineFailure,
    KallaError,
    RecipeInvalid,
    StoreUnavailable,
)
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger, log_context
from kalla_core.observe.secrets import mask, mask_text
from kalla_core.observe.tracing import Span, past, span

_STORE_PATIENCE_S = 5.0
_HANDING_OVER_S = 60.0
_CANCEL_PATIENCE_S = 5.0
_FIRST_GUESS_S = 5.0
_SMOOTHING = 0.2


@dataclass
class _Pace:
    """How long a job runs, about: a moving average."""

    job_s: float = _FIRST_GUESS_S

    def took(self, seconds: float) -> None:
        self.job_s += _SMOOTHING * (seconds - self.job_s)


@dataclass(eq=False)
class Runner:
    """Asyncio, one event loop.

    Attributes:
        places: who runs and who waits.
        live: jobs that are not over.
        draining: no job is started any more.
        patience: with the job store.
    """

    ledger: Ledger
    engines: Engines
    metrics: CoordinatorMetrics
    places: Places
    live: dict[RunId, LiveJob] = field(default_factory=dict)
    draining: bool = False
    patience: StorePatience = field(default_factory=StorePatience)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _handing_over: bool = False
    _pace: _Pace = field(default_factory=_Pace)

    @property
    def job_s(self) -> float:
        """How long a job runs, about."""
        return self._pace.job_s

    def take(self, live: LiveJob) -> None:
        """Let a job that is on disk wait for its turn, which may be now."""
        self._line_up(live)
        self.go_on()

    def take_up(self, live: LiveJob) -> None:
        """Let a job that was found at the start wait for its turn; one that has ended is over."""
        run_id = live.job.run_id
        if live.job.status.final:
            self.live.pop(run_id, None)
            return
        if live.job.attempt > 0:
            self.metrics.retries.labels("restart").inc()
        self._line_up(live)

    def go_on(self) -> None:
        """Start what may be started."""
        if not self.draining:
            self.places, started = admission.start(self.places)
            for run_id in started:
                self._begin(run_id)
        self._count()

    def release(self, run_id: RunId) -> None:
        """Give up the place of a job."""
        self.places = admission.leave(self.places, run_id)
        self.go_on()

    async def stop(self, live: LiveJob, actions: tuple[Action, ...]) -> None:
        """Do what a request to cancel calls for: stop the host, or count the job as over."""
        for action in actions:
            if isinstance(action, Stop) and live.work is not None:
                live.work.cancel()
        if live.job.status.final and live.job.run_id in self.live:
            self._over(live)

    async def drain(self, grace: timedelta) -> None:
        """Start nothing more; let what runs finish within `grace`, else hand it over."""
        self.draining = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace.total_seconds())
        self._handing_over = True
        self.patience.ends_in(_STORE_PATIENCE_S)
        for live in self.live.values():
            if live.work is not None and not isinstance(live.record.state, Committing):
                live.work.cancel()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_HANDING_OVER_S)
            if left:  # they do not come to an end; the next start finds out what became of them
                get_logger().error("jobs_not_handed_over", jobs=len(left))
                for task in left:
                    task.cancel()
                await asyncio.wait(left, timeout=_CANCEL_PATIENCE_S)

    def _line_up(self, live: LiveJob) -> None:
        self.live[live.job.run_id] = live
        self.places = admission.arrive(self.places, live.job.run_id)

    def _begin(self, run_id: RunId) -> None:
        task = asyncio.create_task(self._carry_out(self.live[run_id]), name=f"job-{run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, live: LiveJob) -> None:
        with log_context(run_id=live.job.run_id):
            try:
                await self._attempt(live)
            except StoreUnavailable:
                get_logger().error("job_not_handed_over")  # the next start finds out about it
            except Exception:  # what is not foreseen costs this job its slot, not the service
                get_logger().exception("job_lost_its_way")
                await self._give_up(live)
            finally:
                self.release(live.job.run_id)

    async def _attempt(self, live: LiveJob) -> None:
        now = datetime.now(UTC)
        actions = await self._applied(live, Started(), started_at=now, stage=None)
        runs = [action for action in actions if isinstance(action, Run)]
        if not runs:
            return  # cancelled before there was a slot
        attempt = runs[0].attempt
        with log_context(attempt=attempt):
            began = time.monotonic()
            get_logger().info("job_started", waited_s=_seconds(live.job.accepted_at, now))
            with span(
                "kalla.job", live.record.trace, run_id=live.job.run_id, attempt=attempt
            ) as job:
                event, fields = await self._work(live, attempt, now, job.trace)
                _describe(job, live, event)
            self._pace.took(time.monotonic() - began)
            await self._applied(live, event, **fields)
            self._tell_end(live, event)
        if live.job.status.final:
            self._over(live)

    async def _give_up(self, live: LiveJob) -> None:
        """Let a job that nobody works on any more fail, so that nobody waits for it either."""
        state = live.record.state
        if not isinstance(state, Running):
            return  # one whose evidence may be there is looked at by the next start
        failure = EngineFailure("An internal error; the coordinator's log tells which.")
        try:
            await self._applied(live, WorkFailed(state.attempt, _told(failure, live)))
        except Exception:
            get_logger().exception("job_not_given_up")
        if live.job.status.final:
            self._over(live)

    async def _work(
        self, live: LiveJob, attempt: int, now: datetime, trace: str
    ) -> tuple[Event, dict[str, object]]:
        """Let a host carry out an attempt; return what became of it."""
        live.work = asyncio.create_task(self._host_run(live, attempt, now, trace), name="host")
        try:
            metadata = await live.work
        except asyncio.CancelledError:
            if self._handing_over:
                return HandedOver(attempt), {"stage": None}
            if live.record.state != Running(attempt, cancel_asked=True):
                raise  # this very task is ended, with the process
            return WorkFailed(attempt, _told(Cancelled("The job was cancelled."), live)), {}
        except KallaError as error:
            if self._handing_over and isinstance(error, StoreUnavailable):
                return HandedOver(attempt), {"stage": None}  # it could not ask for its commit
            return WorkFailed(attempt, _told(error, live)), {}
        except Exception as error:
            get_logger().exception("host_failed")
            failure = EngineFailure(f"An internal error: {type(error).__name__}.")
            return WorkFailed(attempt, _told(failure, live)), {}
        finally:
            live.work = None
        return WorkSucceeded(attempt), succeeded(metadata, live.job.output_path)

    async def _host_run(
        self, live: LiveJob, attempt: int, now: datetime, trace: str
    ) -> RunMetadata:
        recipe = live.demand_request().recipe
        host: Host = self.engines.local
        if self.engines.cluster is not None:
            host = await asyncio.to_thread(self.engines.choose, recipe)
        else:
            host = self.engines.choose(recipe)
        live.show(replace(live.job, engine=host.name))
        timeout = recipe.options.timeout
        order = RunOrder(
            run_id=live.job.run_id,
            run_attempt=attempt,
            recipe=recipe,
            output=live.job.output_path,
            started_at=now,
            deadline=None if timeout is None else now + timeout,
            overwrite=recipe.options.overwrite,
            reads=live.record.reads,
            trace=trace,
        )
        commits: list[int] = []
        metadata = await host.run(order, self._watch(live, attempt, commits))
        for began_ns in commits:
            past("kalla.commit", trace, began_ns, run_id=live.job.run_id)
        return metadata

    def _watch(self, live: LiveJob, attempt: int, commits: list[int]) -> Watch:
        def progress(report: Progress) -> None:
            if live.work is not None and live.job.attempt == attempt:
                live.show(with_progress(live.job, report))
                self.ledger.tell_progress(live)

        def planned(strategy: str) -> None:
            live.show(replace(live.job, strategy=strategy))

        def worked_on_by(workers: tuple[ExecutorShare, ...]) -> None:
            executors = tuple(worker.executor_id for worker in workers)
            live.show(replace(live.job, executors=executors, workers=workers))

        async def decide_commit() -> None:
            actions = await self._applied(live, CommitAsked(attempt))
            if AllowCommit() not in actions:
                raise Cancelled("The job was cancelled before its commit.")
            commits.append(time.time_ns())

        return Watch(progress, planned, worked_on_by, decide_commit)

    async def _applied(self, live: LiveJob, event: Event, **fields: object) -> tuple[Action, ...]:
        return await self.patience.insist(lambda: self.ledger.apply(live, event, **fields))

    def _over(self, live: LiveJob) -> None:
        """Count a job that has ended, and keep it no longer."""
        job = live.job
        self.live.pop(job.run_id, None)
        self.places = admission.leave(self.places, job.run_id)
        metrics = self.metrics
        ended = {
            JobStatus.SUCCEEDED: metrics.completed,
            JobStatus.FAILED: metrics.failed,
            JobStatus.CANCELLED: metrics.cancelled,
        }
        ended[job.status].inc()
        if job.ended_at is not None:
            metrics.job_seconds.observe(_seconds(job.accepted_at, job.ended_at))
        if job.status is JobStatus.SUCCEEDED:
            metrics.job_rows.observe((job.counts.total_left or 0) + (job.counts.total_right or 0))
        self.go_on()

    def _tell_end(self, live: LiveJob, event: Event) -> None:
        job, log = live.job, get_logger()
        match event:
            case WorkSucceeded():
                log.info("job_succeeded", matched=job.counts.matched)
            case HandedOver():
                log.info("job_handed_over")
            case _:
                code = None if job.error is None else job.error.code
                log.info("job_ended", status=job.status.value, code=code)

    def _count(self) -> None:
        self.metrics.active.set(len(self.places.running))
        self.metrics.queued.set(len(self.places.waiting))


def _describe(job: Span, live: LiveJob, event: Event) -> None:
    job.attributes["engine"] = live.job.engine or ""
    match event:
        case WorkFailed(error=error):
            job.failed = error.code
        case HandedOver():
            job.attributes["handed_over"] = True


def _told(error: KallaError, live: LiveJob) -> JobError:
    listed = answer(error)["details"]
    carried = {"faults": listed} if isinstance(error, RecipeInvalid) else dict(*listed)
    details = {name: mask(value, name) for name, value in carried.items()}
    return JobError(error.code, mask_text(error.message), live.job.stage, details)


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 3)
