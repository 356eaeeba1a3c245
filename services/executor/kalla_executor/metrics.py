"""An executor's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kalla_core.fragments.outcome import (
    FragmentEnded,
    FragmentFailed,
    JoinDone,
    ScanDone,
    SettleDone,
)

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 120, 600, 3600)


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
        self.scanned_bytes = Counter(
            "kalla_scanned_bytes", "Rows read from sources, as Arrow batches.", registry=own
        )
        self.spooled_bytes = Counter("kalla_spooled_bytes", "Spools written.", registry=own)
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
        self.slots = Gauge("kalla_slots", "Fragments that may run at once.", registry=own)
        self.slots_busy = Gauge("kalla_slots_busy", "Fragments that run.", registry=own)
        self.spool_bytes = Gauge("kalla_spool_bytes", "Spools and scratch on disk.", registry=own)
        self.memory_bytes = Gauge(
            "kalla_memory_bytes", "Memory of all of the executor's processes.", registry=own
        )
        self.registered = Gauge(
            "kalla_registered", "1 while the coordinator knows this executor.", registry=own
        )

    def ended(self, ended: FragmentEnded) -> None:
        """Count a fragment that ended."""
        stage, outcome = ended.id.stage, ended.outcome
        word = outcome.cause.value if isinstance(outcome, FragmentFailed) else "done"
        self.fragments.labels(stage, word).inc()
        self.seconds.labels(stage).observe(ended.seconds)
        match outcome:
            case ScanDone():
                self.rows.labels(stage).inc(outcome.rows)
                self.scanned_bytes.inc(sum(bucket.raw_bytes for bucket in outcome.buckets))
                self.spooled_bytes.inc(outcome.stored_bytes)
            case JoinDone():
                self.rows.labels(stage).inc(sum(outcome.joined.values()))
                self.spooled_bytes.inc(outcome.held_bytes)
                self.spilled_bytes.inc(outcome.spilled_bytes)
            case SettleDone():
                self.rows.labels(stage).inc(sum(outcome.settled.values()))
                self.spilled_bytes.inc(outcome.spilled_bytes)
            case _:
                pass

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
