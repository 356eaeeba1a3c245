"""Errors over Arrow Flight, one place each way: the error itself is the extra information."""

from __future__ import annotations

import pyarrow.flight as flight

from kalla_core.errors import (
    CoordinatorUnavailable,
    EngineFailure,
    KallaError,
    RequestRefused,
    Unauthenticated,
)
from kalla_core.wire.status import packed, statuses, unpacked


def flight_error(error: KallaError) -> Exception:
    """Return an error as one that a Flight server raises."""
    kind: type[Exception] = getattr(flight, statuses(error).flight)
    return kind(f"{error.code}: {error.message}", packed(error))


def error_from_flight(error: Exception) -> KallaError:
    """Return the error that a Flight call ended with."""
    extra = getattr(error, "extra_info", b"")
    found = unpacked(extra) if extra else None
    if found is not None:
        return found
    text = str(error)
    if isinstance(error, flight.FlightUnauthenticatedError):
        return Unauthenticated(text)
    if isinstance(error, flight.FlightUnavailableError | flight.FlightTimedOutError):
        return CoordinatorUnavailable(text)
    return EngineFailure(text) if isinstance(error, flight.FlightError) else RequestRefused(text)
