"""An executor's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kalla_core.fragments.outcome import FragmentEnded
from kalla_core.fragments.work import outcome_word, work_of
from kalla_core.observe.loop_lag import LAG_SECONDS

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
        self.fragments = Counter(
            "kalla_fragments", "Fragments that ended.", ["stage", "outcome"], registry=own
        )
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
        self.scanned_rows = Counter("kalla_scanned_rows", "Read from sources.", registry=own)
        self.scanned_bytes = Counter(
            "kalla_scanned_bytes", "Read from sources, as Arrow batches.", registry=own
        )
        self.spooled_rows = Counter("kalla_spooled_rows", "Rows in spools.", registry=own)
        self.spooled_bytes = Counter("kalla_spooled_bytes", "Spools written.", registry=own)
        self.fetched_rows = Counter("kalla_fetched_rows", "Fetched from peers.", registry=own)
        self.fetched_bytes = Counter("kalla_fetched_bytes", "Fetched from peers.", registry=own)
        self.served_bytes = Counter("kalla_served_bytes", "Served to peers.", registry=own)
        self.spilled_bytes = Counter(
            "kalla_spilled_bytes",
            "On disk for a fragment beside its inputs, at most.",
            registry=own,
        )
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
        stage, work = ended.id.stage, work_of(ended.outcome)
        self.fragments.labels(stage, outcome_word(ended.outcome)).inc()
        self.seconds.labels(stage).observe(ended.seconds)
        self.rows.labels(stage).inc(work.rows)
        self.scanned_rows.inc(work.scanned_rows)
        self.scanned_bytes.inc(work.scanned_bytes)
        self.spooled_rows.inc(work.spooled_rows)
        self.spooled_bytes.inc(work.spooled_bytes)
        self.spilled_bytes.inc(work.spilled_bytes)

    def fetched(self, rows: int, size: int, seconds: float, waited_s: float) -> None:
        """Count what a fragment fetched from its peers.

        Args:
            seconds: until all of it was there.
            waited_s: of them, all threads together, for room in memory.
        """
        self.fetched_rows.inc(rows)
        self.fetched_bytes.inc(size)
        self.fetch_wait_seconds.inc(seconds)
        self.permit_wait_seconds.labels(Permit.BYTES.value).inc(waited_s)

    def waited_for_turn(self, seconds: float) -> None:
        """Count how long a peer waited until it was served; safe from any thread."""
        self.permit_wait_seconds.labels(Permit.STREAM.value).inc(seconds)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
