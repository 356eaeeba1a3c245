"""The coordinator's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kalla_coordinator.cluster.attempts import StageName
from kalla_coordinator.cluster.members import MemberState
from kalla_coordinator.jobs.model import ExecutorInfo
from kalla_core.engine.progress import Progress, Stage
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.outcome import Outcome
from kalla_core.fragments.work import outcome_word, work_done
from kalla_core.observe.loop_lag import LAG_SECONDS
from kalla_core.observe.work import WorkCounters, WorkDone

_JOB_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 1800, 7200)
_JOB_ROWS = (100, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)

_FRAGMENT_OF = {Stage.STAGING: "scan", Stage.MATCHING: "join"}
"""What the fragments of a stage of a run on this machine are called on executors."""


class CoordinatorMetrics:
    """What is counted; the manual lists it. Names and words are those of executors, too.

    Rows and fragments are those of all runs, wherever they went on.
    """

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.active = Gauge("kalla_runner_active_jobs", "Jobs that run.", registry=own)
        self.queued = Gauge("kalla_runner_queued_jobs", "Jobs that wait.", registry=own)
        self.completed = Counter(
            "kalla_runner_jobs_completed", "Jobs that succeeded.", registry=own
        )
        self.failed = Counter("kalla_runner_jobs_failed", "Jobs that failed.", registry=own)
        self.cancelled = Counter(
            "kalla_runner_jobs_cancelled", "Jobs that were cancelled.", registry=own
        )
        self.refused = Counter(
            "kalla_runner_jobs_refused",
            "Requests sent away because the queue was full.",
            registry=own,
        )
        self.retries = Counter(
            "kalla_runner_job_retries",
            "Jobs that run again from the start.",
            ["cause"],
            registry=own,
        )
        self.job_seconds = Histogram(
            "kalla_job_seconds",
            "From acceptance to the end of a job.",
            buckets=_JOB_SECONDS,
            registry=own,
        )
        self.job_rows = Histogram(
            "kalla_job_rows",
            "Source rows of a job that succeeded.",
            buckets=_JOB_ROWS,
            registry=own,
        )
        self.callbacks = Counter(
            "kalla_callback_attempts", "Tries to deliver a callback.", ["outcome"], registry=own
        )
        self.callbacks_owed = Gauge(
            "kalla_callbacks_owed", "Callbacks that were not taken yet.", registry=own
        )
        self.loop_lag = Histogram(
            "kalla_event_loop_lag_seconds",
            "How late the event loop is.",
            buckets=LAG_SECONDS,
            registry=own,
        )
        self._work = WorkCounters(own)
        self._cluster = _ClusterMetrics(own)

    def count_progress(self, before: Progress | None, now: Progress) -> None:
        """Count what a run on this machine did between two reports of one stage and source."""
        before = before or Progress(now.stage)
        if now.stage in _FRAGMENT_OF:
            done = max(0, now.fragments_done - before.fragments_done)
            self._work.ended(_FRAGMENT_OF[now.stage], "done", done)
        read = now.stage is Stage.STAGING
        self._work.add(
            WorkDone(
                scanned_rows=max(0, now.rows_done - before.rows_done) if read else 0,
                scanned_bytes=max(0, now.bytes_done - before.bytes_done) if read else 0,
                spooled_rows=max(0, now.spooled_rows - before.spooled_rows),
                spooled_bytes=max(0, now.spooled_bytes - before.spooled_bytes),
                spilled_bytes=max(0, now.spilled_bytes - before.spilled_bytes),
            )
        )

    def fragment_ended(self, stage: str, outcome: Outcome) -> None:
        """Count an attempt at a fragment on an executor."""
        self._work.ended(stage, outcome_word(outcome))
        self._work.add(work_done(outcome))

    def fragment_lost(self, stage: str) -> None:
        """Count an attempt that was lost with its executor."""
        self._work.ended(stage, Cause.LOST.value)

    def fragment_retried(self, stage: str, cause: str) -> None:
        """Count another attempt at a fragment."""
        self._cluster.retries.labels(stage, cause).inc()

    def run_retried(self, cause: str) -> None:
        """Count a run that starts over by itself."""
        self.retries.labels(cause).inc()

    def show_executors(self, infos: Callable[[], Sequence[ExecutorInfo]]) -> None:
        """Let whoever reads the metrics see the executors as they are then."""
        self._cluster.show(infos)

    def show_work(
        self, pending: Callable[[], Mapping[StageName, int]], taken: Callable[[], int]
    ) -> None:
        """Let whoever reads the metrics see what waits for slots then, and what has one."""
        self._cluster.show_work(pending, taken)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _ClusterMetrics:
    """Executors, and what is done again because of them."""

    def __init__(self, own: CollectorRegistry) -> None:
        self.retries = Counter(
            "kalla_fragment_retries",
            "Further attempts at fragments, by what became of the one before.",
            ["stage", "cause"],
            registry=own,
        )
        self._executors = Gauge(
            "kalla_executors", "Executors that are known.", ["state"], registry=own
        )
        self._slots = Gauge("kalla_slots", "Slots of all of them.", registry=own)
        self._busy = Gauge(
            "kalla_slots_busy", "Slots in which a fragment runs, as they tell.", registry=own
        )
        self._pending = Gauge(
            "kalla_fragments_pending",
            "Fragments that would run if there were slots for them.",
            ["stage"],
            registry=own,
        )
        self._wanted = Gauge(
            "kalla_slots_wanted",
            "Slots that all fragments would take which have one or wait for one.",
            registry=own,
        )
        for state in MemberState:
            self._executors.labels(state.value)
        for stage in StageName:
            self._pending.labels(stage.value)

    def show(self, infos: Callable[[], Sequence[ExecutorInfo]]) -> None:
        for state in MemberState:
            self._executors.labels(state.value).set_function(_number_of(state, infos))
        self._slots.set_function(lambda: sum(one.slots for one in infos()))
        self._busy.set_function(lambda: sum(one.slots_busy for one in infos()))

    def show_work(
        self, pending: Callable[[], Mapping[StageName, int]], taken: Callable[[], int]
    ) -> None:
        for stage in StageName:
            self._pending.labels(stage.value).set_function(_pending_of(stage, pending))
        self._wanted.set_function(lambda: taken() + sum(pending().values()))


def _number_of(
    state: MemberState, infos: Callable[[], Sequence[ExecutorInfo]]
) -> Callable[[], float]:
    return lambda: Tally(one.state for one in infos())[state.value]


def _pending_of(
    stage: StageName, pending: Callable[[], Mapping[StageName, int]]
) -> Callable[[], float]:
    return lambda: pending().get(stage, 0)
