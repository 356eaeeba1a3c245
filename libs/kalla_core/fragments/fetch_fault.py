"""Inputs of a fragment that could not be fetched."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.errors import FetchFailed
from kalla_core.fragments.attempt import AttemptId


@dataclass(frozen=True, slots=True)
class FetchFault:
    """Inputs that could not be read: of which executor, and which of them.

    An executor that does not answer is told with all attempts that were wanted of it.

    Attributes:
        unreachable: it does not answer, and may still have them.
    """

    executor_id: str
    attempts: tuple[AttemptId, ...]
    unreachable: bool = False


def fetch_failed(message: str, fault: FetchFault) -> FetchFailed:
    """Return the error of inputs that could not be fetched."""
    return FetchFailed(
        message,
        executor_id=fault.executor_id,
        attempts=[str(attempt) for attempt in fault.attempts],
        unreachable=fault.unreachable,
    )
