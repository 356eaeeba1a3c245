"""What an error is on each wire: one table for HTTP, gRPC and Flight, and back from gRPC.

Statuses tell a stranger what kind of failure it was; the error itself goes beside them, so that
our own clients get the class it was, with its details: as the body of an HTTP answer (which
`kalla_core.client.calls` reads), as
`kalla-error-bin` in the trailing metadata of gRPC, as extra information of a Flight error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc

from kalla_core.error_json import answer, error_from_answer
from kalla_core.errors import (
    CoordinatorUnavailable,
    EngineFailure,
    KallaError,
    QueueFull,
    RecipeInvalid,
    RequestRefused,
    Unauthenticated,
)

GRPC_DETAILS = "kalla-error-bin"
"""Key of the trailing metadata that holds the error as JSON."""

MAX_DETAILS_BYTES = 6000
"""More than that is left out of metadata, which gRPC bounds to 8 KiB: the sentence stays."""

RETRY_AFTER_S = 2

_Grpc = grpc.StatusCode


@dataclass(frozen=True, slots=True)
class Statuses:
    """What one kind of error is on each wire.

    Attributes:
        flight: name of a `pyarrow.flight` error. Arrow's own errors for what is invalid or not
            there are not among them: they would carry a traceback of the server to the client.
    """

    http: int
    grpc: grpc.StatusCode
    flight: str


_INVALID = Statuses(422, _Grpc.INVALID_ARGUMENT, "FlightServerError")
_CONFLICT = Statuses(409, _Grpc.ALREADY_EXISTS, "FlightServerError")
_TOO_LATE = Statuses(409, _Grpc.FAILED_PRECONDITION, "FlightServerError")
_UNAVAILABLE = Statuses(503, _Grpc.UNAVAILABLE, "FlightUnavailableError")
_EXHAUSTED = Statuses(503, _Grpc.RESOURCE_EXHAUSTED, "FlightUnavailableError")
_INTERNAL = Statuses(500, _Grpc.INTERNAL, "FlightInternalError")

STATUSES: Mapping[str, Statuses] = {
    "invalid_recipe": _INVALID,
    "invalid_sql": _INVALID,
    "forbidden_sql": _INVALID,
    "sides_not_identified": _INVALID,
    "unknown_column": _INVALID,
    "types_not_comparable": _INVALID,
    "invalid_filter": _INVALID,
    "invalid_uri": _INVALID,
    "invalid_type": _INVALID,
    "invalid_format": _INVALID,
    "invalid_setting": _INVALID,
    "too_many_pairs": _INVALID,
    "cardinality_violated": _INVALID,
    "connector_missing": _INVALID,
    "source_not_found": _INVALID,
    "source_unreadable": _INVALID,
    "duplicate_keys": _INVALID,
    "output_exists": _CONFLICT,
    "output_in_use": _CONFLICT,
    "output_not_writable": _INVALID,
    "not_shared": _INVALID,
    "not_allowed": Statuses(403, _Grpc.PERMISSION_DENIED, "FlightUnauthorizedError"),
    "unauthenticated": Statuses(401, _Grpc.UNAUTHENTICATED, "FlightUnauthenticatedError"),
    "invalid_request": Statuses(400, _Grpc.INVALID_ARGUMENT, "FlightServerError"),
    "too_large": Statuses(413, _Grpc.RESOURCE_EXHAUSTED, "FlightServerError"),
    "row_too_large": Statuses(413, _Grpc.RESOURCE_EXHAUSTED, "FlightServerError"),
    "job_not_found": Statuses(404, _Grpc.NOT_FOUND, "FlightServerError"),
    "not_found": Statuses(404, _Grpc.NOT_FOUND, "FlightServerError"),
    "conflict": _CONFLICT,
    "row_not_found": Statuses(404, _Grpc.NOT_FOUND, "FlightServerError"),
    "evidence_gone": Statuses(404, _Grpc.NOT_FOUND, "FlightServerError"),
    "job_conflict": _CONFLICT,
    "job_ended": _TOO_LATE,
    "cancelled": Statuses(409, _Grpc.CANCELLED, "FlightCancelledError"),
    "source_unavailable": _UNAVAILABLE,
    "source_changed": Statuses(503, _Grpc.ABORTED, "FlightUnavailableError"),
    "out_of_memory": _EXHAUSTED,
    "out_of_disk": _EXHAUSTED,
    "results_busy": _EXHAUSTED,
    "crashed": _UNAVAILABLE,
    "deadline_exceeded": Statuses(504, _Grpc.DEADLINE_EXCEEDED, "FlightTimedOutError"),
    "queue_full": Statuses(429, _Grpc.RESOURCE_EXHAUSTED, "FlightUnavailableError"),
    "shutting_down": _UNAVAILABLE,
    "store_unavailable": _UNAVAILABLE,
    "coordinator_unavailable": _UNAVAILABLE,
    "output_unavailable": _UNAVAILABLE,
    "no_executors": _UNAVAILABLE,
    "executor_lost": _UNAVAILABLE,
    "fetch_failed": _UNAVAILABLE,
    "evidence_damaged": _INTERNAL,
    "accounting_failed": _INTERNAL,
    "engine_failure": _INTERNAL,
}


def statuses(error: KallaError) -> Statuses:
    """Return what an error is on each wire."""
    return STATUSES.get(error.code, _INTERNAL)


def http_status(error: KallaError) -> int:
    """Return the status of an HTTP answer; a request that is no JSON is malformed, not invalid."""
    if isinstance(error, RecipeInvalid) and any(one.code == "invalid_json" for one in error.faults):
        return 400
    return statuses(error).http


def retry_after_s(error: KallaError) -> int | None:
    """Return when the same request may work, in seconds; None where waiting does not help."""
    if isinstance(error, QueueFull):
        return error.retry_after_s
    return RETRY_AFTER_S if statuses(error).http in (429, 503) else None


def grpc_details(error: KallaError) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata that carries an error."""
    text = packed(error)
    return ((GRPC_DETAILS, text),) if text else ()


def error_from_grpc(error: grpc.RpcError) -> KallaError:
    """Return the error that a call ended with."""
    status, details = error.code(), error.details() or ""
    for key, value in _pairs(error.trailing_metadata()):
        if key == GRPC_DETAILS:
            return unpacked(value) or EngineFailure(details)
    if status in (_Grpc.UNAVAILABLE, _Grpc.DEADLINE_EXCEEDED):
        return CoordinatorUnavailable(f"The coordinator does not answer: {details}.")
    if status is _Grpc.UNAUTHENTICATED:
        return Unauthenticated(details)
    return RequestRefused(details, status=status.name)


def packed(error: KallaError) -> bytes:
    """Return an error as bytes that fit beside a status; empty if even its sentence does not."""
    document = answer(error)
    for candidate in (document, {**document, "details": document["details"][:3]}):
        text = json.dumps(candidate, ensure_ascii=False).encode()
        if len(text) <= MAX_DETAILS_BYTES:
            return text
    short = {"code": error.code, "message": error.message[:1000], "details": []}
    return json.dumps(short, ensure_ascii=False).encode()


def unpacked(text: bytes | str) -> KallaError | None:
    """Return the error that `packed` wrote; None if it is something else."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return error_from_answer(document) if isinstance(document, Mapping) else None


def _pairs(metadata: object) -> Iterable[tuple[str, bytes]]:
    return metadata if isinstance(metadata, Iterable) else ()
