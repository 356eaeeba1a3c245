"""What fragments did, counted under the same names on coordinator and executors."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter


@dataclass(frozen=True, slots=True)
class WorkDone:
    """Sums over some fragments; zero for what they did not do.

    Attributes:
        rows: scanned, joined or settled.
        scanned_rows: read from sources.
        scanned_bytes: of these, as Arrow batches in memory.
        spooled_rows: left in spools.
        spooled_bytes: of spools, as they lie on disk.
        fetched_bytes: from peers.
        spilled_bytes: on disk beside the inputs, at most.
    """

    rows: int = 0
    scanned_rows: int = 0
    scanned_bytes: int = 0
    spooled_rows: int = 0
    spooled_bytes: int = 0
    fetched_bytes: int = 0
    spilled_bytes: int = 0


class WorkCounters:
    """The counters, in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._fragments = Counter(
            "kalla_fragments",
            "Fragments that ended; of runs on one machine those that were done.",
            ["stage", "outcome"],
            registry=registry,
        )
        self._scanned_rows = Counter("kalla_scanned_rows", "Read from sources.", registry=registry)
        self._scanned_bytes = Counter(
            "kalla_scanned_bytes", "Read from sources, as Arrow batches.", registry=registry
        )
        self._spooled_rows = Counter("kalla_spooled_rows", "Rows in spools.", registry=registry)
        self._spooled_bytes = Counter("kalla_spooled_bytes", "Spools written.", registry=registry)
        self._fetched_bytes = Counter(
            "kalla_fetched_bytes", "Fetched by executors from their peers.", registry=registry
        )
        self._spilled_bytes = Counter(
            "kalla_spilled_bytes", "On disk beside the spool, at most.", registry=registry
        )

    def ended(self, stage: str, outcome: str, fragments: int = 1) -> None:
        """Count fragments that ended alike."""
        self._fragments.labels(stage, outcome).inc(fragments)

    def add(self, work: WorkDone) -> None:
        """Count what was done, but for `rows`, which each stage has its own."""
        self._scanned_rows.inc(work.scanned_rows)
        self._scanned_bytes.inc(work.scanned_bytes)
        self._spooled_rows.inc(work.spooled_rows)
        self._spooled_bytes.inc(work.spooled_bytes)
        self._fetched_bytes.inc(work.fetched_bytes)
        self._spilled_bytes.inc(work.spilled_bytes)
