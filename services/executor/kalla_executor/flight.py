"""Serves spools to peers over Arrow Flight: raw bytes, against signed tickets, a few at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.flight as flight

from kalla_core.engine.spool.spool import SpoolFile
from kalla_core.engine.spool.spool_folder import NotSpooled, SpoolFolder
from kalla_core.errors import Unauthenticated
from kalla_core.observe.logs import get_logger
from kalla_core.settings.tls import Certificate
from kalla_core.wire.streams import begun
from kalla_core.wire.tickets import Wanted, read_ticket
from kalla_executor.exchange import PACKED, SCHEMA, Piece, chosen, pieces

_STREAMS = 32
_TURN_PATIENCE_S = 20.0
_HEADERS = "headers"

BUSY = "too many peers fetch from this executor"
"""What an executor says that is there, and serves others."""


class SpoolKeys:
    """The keys that tickets are signed with: one for each run attempt that this executor works for.

    The coordinator makes them, and gives each only with the fragments of its run.
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[str, int], bytes] = {}
        self._lock = threading.Lock()

    def add(self, run_id: str, run_attempt: int, key: bytes) -> None:
        """Take the key of a run attempt."""
        with self._lock:
            self._keys[run_id, run_attempt] = key

    def forget(self, run_id: str, run_attempt: int) -> None:
        """Drop the keys of a run attempt and those before it."""
        with self._lock:
            over = [one for one in self._keys if one[0] == run_id and one[1] <= run_attempt]
            for one in over:
                del self._keys[one]

    @property
    def good(self) -> dict[tuple[str, int], bytes]:
        """All keys that are accepted, by run id and run attempt."""
        with self._lock:
            return dict(self._keys)


class _Asked(flight.ServerMiddleware):  # type: ignore[misc]
    """What the headers of a call say."""

    def __init__(self, *, packed: bool) -> None:
        self.packed = packed


class _Headers(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Reads them."""

    def start_call(self, info: flight.CallInfo, headers: Mapping[str, Sequence[str]]) -> _Asked:
        name, value = PACKED
        return _Asked(packed=value in headers.get(name, ()))


class SpoolServer(flight.FlightServerBase):  # type: ignore[misc]
    """One request brings all that a reader wants of this executor.

    Args:
        location: `HOST:PORT`, port 0 for a free one.
        served: told of bytes that went out; called from several threads.
        waited: told how long a reader waited for its turn; likewise.
        streams: that are served at once; others wait for their turn, for a while.
        certificate: with one, only TLS is spoken.
    """

    def __init__(
        self,
        location: str,
        executor_id: str,
        folder: SpoolFolder,
        keys: SpoolKeys,
        served: Callable[[int], None],
        waited: Callable[[float], None],
        streams: int = _STREAMS,
        certificate: Certificate | None = None,
    ) -> None:
        scheme = "grpc" if certificate is None else "grpc+tls"
        shown = None if certificate is None else [(certificate.chain, certificate.key)]
        super().__init__(
            f"{scheme}://{location}", tls_certificates=shown, middleware={_HEADERS: _Headers()}
        )
        self._executor_id = executor_id
        self._folder = folder
        self._keys = keys
        self._served = served
        self._waited = waited
        self._turns = threading.BoundedSemaphore(streams)

    def do_get(
        self, context: flight.ServerCallContext, ticket: flight.Ticket
    ) -> flight.GeneratorStream:
        """Stream the bytes of a ticket (see `exchange`).

        Raises:
            FlightUnauthenticatedError: the ticket is not good, or not any more.
            FlightServerError: some of it is not here; which, as JSON in `extra_info`.
            FlightUnavailableError: too many others are served.
        """
        try:
            wanted = read_ticket(self._keys.good, self._executor_id, ticket.ticket)
        except Unauthenticated as error:
            get_logger().warning("ticket_refused", peer=context.peer(), reason=error.message)
            raise flight.FlightUnauthenticatedError(error.message) from error
        files = self._open(wanted)
        start = time.monotonic()
        had_turn = self._turns.acquire(timeout=_TURN_PATIENCE_S)
        self._waited(time.monotonic() - start)
        if not had_turn:
            raise flight.FlightUnavailableError(BUSY)
        packed = context.get_middleware(_HEADERS).packed
        return flight.GeneratorStream(SCHEMA, begun(self._stream(wanted, files, packed=packed)))

    def _open(self, wanted: tuple[Wanted, ...]) -> list[SpoolFile]:
        files, missing = [], []
        for want in wanted:
            try:
                files.append(self._folder.open(want.attempt, want.kind))
            except NotSpooled:
                missing.append(str(want.attempt))
        if missing:
            text = f"{len(missing)} spools are not here, the first is {missing[0]}"
            raise flight.FlightServerError(text, extra_info=json.dumps(missing).encode())
        return files

    def _stream(
        self, wanted: tuple[Wanted, ...], files: list[SpoolFile], *, packed: bool
    ) -> Iterator[Piece | pa.RecordBatch | None]:
        try:
            yield None  # begun, see there
            for want, file in zip(wanted, files, strict=True):
                for batch, metadata in pieces(file, chosen(file, want.buckets), packed=packed):
                    self._served(batch.nbytes)
                    yield batch if metadata is None else (batch, metadata)
        finally:
            self._turns.release()


def missing_attempts(error: pa.ArrowException) -> tuple[str, ...]:
    """Return which attempts a server said it does not have; empty if it said something else."""
    info = getattr(error, "extra_info", b"")
    return tuple(json.loads(info)) if info else ()
