"""An executor's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kalla_core.fragments.outcome import FragmentEnded
from kalla_core.fragments.work import outcome_word, work_done
from kalla_core.observe.loop_lag import LAG_SECONDS
from kalla_core.observe.work import WorkCounters, WorkDone

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 120, 600, 3600)


class Permit(StrEnum):
    """What rows on their way between executors wait for."""

    BYTES = "bytes"
    """Room for a piece in the memory of whoever fetches."""

    STREAM = "stream"
    """A turn among those that are served."""


class ExecutorMetrics:
    """What is counted."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self._work = WorkCounters(own)
        self.seconds = Histogram(
            "kalla_fragment_seconds",
            "From the launch of a fragment to its end.",
            ["stage"],
            buckets=_SECONDS,
            registry=own,
        )
        self.rows = Counter(
            "kalla_fragment_rows", "Rows scanned, joined or settled.", ["stage"], registry=own
        )
        self.fetched_rows = Counter(
            "kalla_fetched_rows", "Fetched from peers, hashes of keys among them.", registry=own
        )
        self.served_bytes = Counter("kalla_served_bytes", "Served to peers.", registry=own)
        self.fetch_wait_seconds = Counter(
            "kalla_fetch_wait_seconds", "Fragments waited for their inputs.", registry=own
        )
        self.permit_wait_seconds = Counter(
            "kalla_permit_wait_seconds",
            "Transfers waited for their permit: bytes of whoever fetches, streams of who serves.",
            ["permit"],
            registry=own,
        )
        for permit in Permit:
            self.permit_wait_seconds.labels(permit.value)
        self.slots = Gauge("kalla_slots", "Fragments that may run at once.", registry=own)
        self.slots_busy = Gauge("kalla_slots_busy", "Fragments that run.", registry=own)
        self.spool_bytes = Gauge("kalla_spool_bytes", "Spools and scratch on disk.", registry=own)
        self.memory_bytes = Gauge(
            "kalla_memory_bytes", "Memory of all of the executor's processes.", registry=own
        )
        self.registered = Gauge(
            "kalla_registered", "1 while the coordinator knows this executor.", registry=own
        )
        self.loop_lag = Histogram(
            "kalla_event_loop_lag_seconds",
            "How late the event loop is.",
            buckets=LAG_SECONDS,
            registry=own,
        )

    def ended(self, ended: FragmentEnded) -> None:
        """Count a fragment that ended; what it fetched was counted when that was done."""
        stage, work = ended.id.stage, work_done(ended.outcome)
        self._work.ended(stage, outcome_word(ended.outcome))
        self._work.add(replace(work, fetched_bytes=0))
        self.seconds.labels(stage).observe(ended.seconds)
        self.rows.labels(stage).inc(work.rows)

    def fetched(self, rows: int, size: int, seconds: float, waited_s: float) -> None:
        """Count what a fragment fetched from its peers.

        Args:
            seconds: until all of it was there.
            waited_s: of them, all threads together, for room in memory.
        """
        self.fetched_rows.inc(rows)
        self._work.add(WorkDone(fetched_bytes=size))
        self.fetch_wait_seconds.inc(seconds)
        self.permit_wait_seconds.labels(Permit.BYTES.value).inc(waited_s)

    def waited_for_turn(self, seconds: float) -> None:
        """Count how long a peer waited until it was served; safe from any thread."""
        self.permit_wait_seconds.labels(Permit.STREAM.value).inc(seconds)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
