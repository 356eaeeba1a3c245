"""Errors over Arrow Flight, one place each way."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.flight as flight

from kalla_core.errors import (
    CoordinatorUnavailable,
    EngineFailure,
    KallaError,
    RequestRefused,
    Unauthenticated,
)
from kalla_core.wire.status import packed, statuses, unpacked

_MARK = "kalla-error: "


def flight_error(error: KallaError) -> Exception:
    """Return an error as one that a Flight server raises.

    Most carry the error as extra information. Those that only Arrow has a status for (an invalid
    request, something that is not there) cannot, and have it at the end of their message.
    """
    name = statuses(error).flight
    if name in _ARROW:
        text = f"{error.code}: {error.message} [{_MARK}{packed(error).decode()}]"
        return _ARROW[name](text)
    made: Exception = getattr(flight, name)(f"{error.code}: {error.message}", packed(error))
    return made


def error_from_flight(error: Exception) -> KallaError:
    """Return the error that a Flight call ended with."""
    extra = getattr(error, "extra_info", b"")
    if extra:
        found = unpacked(extra)
        if found is not None:
            return found
    text = str(error)
    _, mark, rest = text.partition(f"[{_MARK}")
    if mark:
        found = unpacked(rest[: rest.rfind("}") + 1])
        if found is not None:
            return found
    if isinstance(error, flight.FlightUnauthenticatedError):
        return Unauthenticated(text)
    if isinstance(error, flight.FlightUnavailableError | flight.FlightTimedOutError):
        return CoordinatorUnavailable(text)
    return RequestRefused(text) if isinstance(error, pa.ArrowInvalid) else EngineFailure(text)


_ARROW: dict[str, type[Exception]] = {"Invalid": pa.ArrowInvalid, "NotFound": pa.ArrowKeyError}
