"""How much an attempt at a fragment did, as far as its outcome tells."""

from __future__ import annotations

from kalla_core.fragments.outcome import (
    FragmentFailed,
    JoinDone,
    Outcome,
    ProveDone,
    ScanDone,
    SettleDone,
)
from kalla_core.observe.work import WorkDone


def work_done(outcome: Outcome) -> WorkDone:
    """Return what an attempt did; of one that failed nothing is known."""
    match outcome:
        case ScanDone():
            return WorkDone(
                rows=outcome.rows,
                scanned_rows=outcome.rows,
                scanned_bytes=int(outcome.buckets.raw_bytes.sum()),
                spooled_rows=outcome.rows,
                spooled_bytes=outcome.stored_bytes,
            )
        case JoinDone():
            return WorkDone(
                rows=sum(outcome.joined.values()),
                spooled_bytes=outcome.held_bytes,
                fetched_bytes=outcome.fetched_bytes,
                spilled_bytes=outcome.spilled_bytes,
            )
        case SettleDone():
            return WorkDone(
                rows=sum(outcome.settled.values()),
                fetched_bytes=outcome.fetched_bytes,
                spilled_bytes=outcome.spilled_bytes,
            )
        case ProveDone() | FragmentFailed():
            return WorkDone()


def outcome_word(outcome: Outcome) -> str:
    """Return `done`, or the cause of a failure."""
    return outcome.cause.value if isinstance(outcome, FragmentFailed) else "done"
