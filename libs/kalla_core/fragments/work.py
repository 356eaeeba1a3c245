"""How much an attempt at a fragment did, as far as its outcome tells: for metrics."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.fragments.outcome import (
    FragmentFailed,
    JoinDone,
    Outcome,
    ProveDone,
    ScanDone,
    SettleDone,
)


@dataclass(frozen=True, slots=True)
class Work:
    """Sums over one attempt; zero for what it did not do.

    Attributes:
        rows: scanned, joined or settled.
        scanned_bytes: as Arrow batches in memory.
        spooled_bytes: as they lie on disk.
        fetched_bytes: from peers.
        spilled_bytes: on disk beside its inputs, at most.
    """

    rows: int = 0
    scanned_rows: int = 0
    scanned_bytes: int = 0
    spooled_rows: int = 0
    spooled_bytes: int = 0
    fetched_bytes: int = 0
    spilled_bytes: int = 0


def work_of(outcome: Outcome) -> Work:
    """Return what an attempt did; of one that failed nothing is known."""
    match outcome:
        case ScanDone():
            return Work(
                rows=outcome.rows,
                scanned_rows=outcome.rows,
                scanned_bytes=sum(bucket.raw_bytes for bucket in outcome.buckets),
                spooled_rows=outcome.rows,
                spooled_bytes=outcome.stored_bytes,
            )
        case JoinDone():
            return Work(
                rows=sum(outcome.joined.values()),
                spooled_bytes=outcome.held_bytes,
                fetched_bytes=outcome.fetched_bytes,
                spilled_bytes=outcome.spilled_bytes,
            )
        case SettleDone():
            return Work(
                rows=sum(outcome.settled.values()),
                fetched_bytes=outcome.fetched_bytes,
                spilled_bytes=outcome.spilled_bytes,
            )
        case ProveDone() | FragmentFailed():
            return Work()


def outcome_word(outcome: Outcome) -> str:
    """Return `done`, or the cause of a failure."""
    return outcome.cause.value if isinstance(outcome, FragmentFailed) else "done"
