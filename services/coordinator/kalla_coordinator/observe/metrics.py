"""The coordinator's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kalla_core.engine.progress import Progress, Stage

_JOB_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 1800, 7200)
_JOB_ROWS = (100, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_LAG_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2)
_LAG_INTERVAL_S = 0.5


class CoordinatorMetrics:
    """What is counted; names as CONTRACT §8 has them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
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
        self.retries = Counter(
            "kalla_runner_job_retries",
            "Jobs that run again from the start.",
            ["cause"],
            registry=own,
        )
        self.rows_scanned = Counter("kalla_rows_scanned", "Source rows read.", registry=own)
        self.bytes_scanned = Counter(
            "kalla_bytes_scanned", "Bytes of the source rows read, in memory.", registry=own
        )
        self.fragments = Counter(
            "kalla_fragments_done", "Fragments of jobs that are done.", ["stage"], registry=own
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
            buckets=_LAG_SECONDS,
            registry=own,
        )

    def count_progress(self, before: Progress | None, now: Progress) -> None:
        """Count what was done between two reports of one stage and source of an attempt."""
        start = before or Progress(now.stage)
        if now.stage is Stage.STAGING:
            self.rows_scanned.inc(max(0, now.rows_done - start.rows_done))
            self.bytes_scanned.inc(max(0, now.bytes_done - start.bytes_done))
        done = max(0, now.fragments_done - start.fragments_done)
        self.fragments.labels(now.stage.value).inc(done)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        with suppress(asyncio.CancelledError):
            while True:
                due = time.monotonic() + _LAG_INTERVAL_S
                await asyncio.sleep(_LAG_INTERVAL_S)
                self.loop_lag.observe(max(0.0, time.monotonic() - due))
