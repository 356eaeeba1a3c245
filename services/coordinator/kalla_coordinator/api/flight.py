"""Result sets over Arrow Flight, for any Flight client.

A flight is an output of a job, by the path `[run_id, set]`; it has an endpoint for each of its
files, all on this server, and its batches are small enough for any client (see `pieces`). Flight
has threads of its own: what they want of jobs they ask the event
loop, with a bound on the time.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from kalla_coordinator.api.auth import Tokens
from kalla_coordinator.api.budget import Claim
from kalla_coordinator.api.context import Api, known_id
from kalla_coordinator.api.pieces import cut_small
from kalla_coordinator.api.results import EvidenceSet, demand, open_results, streaming_bytes
from kalla_core.errors import (
    CoordinatorUnavailable,
    EngineFailure,
    InvalidSetting,
    KallaError,
    QueueFull,
    RequestRefused,
    ShuttingDown,
)
from kalla_core.evidence.reader import Evidence
from kalla_core.ids import RunId
from kalla_core.jobs.model import Job, JobStatus
from kalla_core.observe.logs import get_logger
from kalla_core.settings.tls import Certificate
from kalla_core.wire.flight_errors import flight_error
from kalla_core.wire.streams import begun

T = TypeVar("T")

MAX_STREAMS = 64
LISTED_JOBS = 100
_ASK_PATIENCE_S = 10.0
_MAX_TICKET_BYTES = 4096
_MAX_NAME_BYTES = 1024
_MAX_STEPS = 16


class _TokenMiddleware(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self._tokens = tokens

    def start_call(self, info: object, headers: dict[str, list[str]]) -> None:
        sent = [
            value for key in headers if key.lower() == "authorization" for value in headers[key]
        ]
        with _told():
            self._tokens.check(sent[0] if len(sent) == 1 else None)


class FlightServer(flight.FlightServerBase):  # type: ignore[misc]
    """The server; listens from its making on, on threads of its own, with a certificate over TLS.

    Raises:
        InvalidSetting: the address cannot be taken.
    """

    def __init__(
        self,
        api: Api,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop,
        certificate: Certificate | None = None,
    ) -> None:
        self._api = api
        self._loop = loop
        self._streams = threading.BoundedSemaphore(MAX_STREAMS)
        scheme = "grpc+tcp" if certificate is None else "grpc+tls"
        shown = None if certificate is None else [(certificate.chain, certificate.key)]
        try:
            super().__init__(
                f"{scheme}://{host}:{port}",
                tls_certificates=shown,
                middleware={"token": _TokenMiddleware(api.tokens)},
            )
        except (pa.ArrowException, OSError) as error:
            raise InvalidSetting(
                f"The results port {host}:{port} cannot be taken: {error}."
            ) from error

    def list_flights(self, _: object, criteria: bytes) -> Iterator[flight.FlightInfo]:
        """Yield the flights of a job whose run id is the criteria; else of the newest jobs."""
        with _told():
            jobs = [self._job(_text(criteria))] if criteria else self._newest()
        for job in jobs:
            with _told():
                infos = self._infos(job, skipping=not criteria)
            yield from infos

    def get_flight_info(self, _: object, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        """Return schema, rows and endpoints of `[run_id, set]`."""
        with _told():
            run_id, which = _path(descriptor)
            with open_results(self._job(run_id)) as evidence:
                demand(evidence, which)
                return _info(known_id(run_id), which, evidence)

    def get_schema(self, context: object, descriptor: flight.FlightDescriptor) -> Any:
        """Return the schema of `[run_id, set]`."""
        try:
            return flight.SchemaResult(self.get_flight_info(context, descriptor).schema)
        except flight.FlightError as error:
            # From here pyarrow sends the traceback along, and no code: so let it be a short one.
            raise type(error)(str(error)) from None

    def do_get(self, _: object, ticket: flight.Ticket) -> flight.FlightDataStream:
        """Stream the rows of one file."""
        with _told():
            run_id, which, part = _read_ticket(ticket.ticket)
            job = self._job(run_id)
            if not self._streams.acquire(blocking=False):
                raise QueueFull(f"{MAX_STREAMS} result sets are being fetched; try again.")
            held = ExitStack()
            held.callback(self._streams.release)
            try:
                evidence = held.enter_context(open_results(job))
                claim = self._api.budget.ask(streaming_bytes(evidence, which))
                held.callback(claim.release)
                schema = evidence.schema(which.output)
                batches = self._batches(evidence, which, part, held, claim)
            except BaseException:
                held.close()
                raise
            return flight.GeneratorStream(schema, begun(batches))

    def do_put(self, *_: object) -> None:
        """Refuse: results are read only."""
        raise flight_error(RequestRefused("Result sets can be read only."))

    do_exchange = do_put

    def do_action(self, _: object, action: flight.Action) -> None:
        """Refuse: there are no actions."""
        raise flight_error(RequestRefused(f"There is no action {action.type[:64]!r}."))

    def list_actions(self, _: object) -> list[object]:
        """Return none."""
        return []

    def stop(self, patience_s: float) -> bool:
        """Take no new calls and wait for those that go on; return whether all have ended.

        Blocks. Streams end with their next batch; one that nobody reads may not.
        """
        ending = threading.Thread(target=self.shutdown, name="kalla-flight-stop", daemon=True)
        ending.start()
        ending.join(patience_s)
        return not ending.is_alive()

    def _batches(
        self, evidence: Evidence, which: EvidenceSet, part: str, held: ExitStack, claim: Claim
    ) -> Iterator[pa.RecordBatch | None]:
        with held, _told():
            yield None  # begun, see there
            if part not in evidence.parts(which.output):
                raise RequestRefused("The ticket names a file that the evidence has not.")
            for batch in cut_small(evidence.part_batches(part, claim)):
                if self._api.closing.is_set():
                    raise ShuttingDown("The coordinator is shutting down.")
                yield batch

    def _infos(self, job: Job, *, skipping: bool) -> list[flight.FlightInfo]:
        """Return the flights of a job; none, if it may be skipped, where its evidence is gone."""
        try:
            with open_results(job) as evidence:
                there = [which for which in EvidenceSet if evidence.has(which.output)]
                return [_info(job.run_id, which, evidence) for which in there]
        except KallaError:
            if skipping:
                return []
            raise

    def _job(self, run_id: str) -> Job:
        return self._ask(self._api.service.get(known_id(run_id)))

    def _newest(self) -> tuple[Job, ...]:
        listing = self._api.service.list(JobStatus.SUCCEEDED, LISTED_JOBS)
        return self._ask(listing).jobs

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(_ASK_PATIENCE_S)
        except FutureTimeout:
            asked.cancel()
            raise CoordinatorUnavailable(
                f"The coordinator was too busy to answer within {_ASK_PATIENCE_S:g} seconds."
            ) from None


@contextmanager
def _told() -> Iterator[None]:
    """Let errors leave as errors of Flight; what nobody foresaw tells nothing of the inside."""
    try:
        yield
    except KallaError as error:
        raise flight_error(error) from error
    except flight.FlightError:
        raise
    except Exception as error:
        get_logger().error("request_failed", exc_info=error)
        text = "The coordinator failed in a way it does not know; its log says where."
        raise flight_error(EngineFailure(text)) from error


def _info(run_id: RunId, which: EvidenceSet, evidence: Evidence) -> flight.FlightInfo:
    endpoints = [
        flight.FlightEndpoint(_ticket(run_id, which, part), [])  # none named: this server
        for part in evidence.parts(which.output)
    ]
    sizes = {file.name: file.bytes for file in evidence.metadata.files}
    return flight.FlightInfo(
        evidence.schema(which.output),
        flight.FlightDescriptor.for_path(run_id, which.value),
        endpoints,
        evidence.rows(which.output),
        sum(sizes[part] for part in evidence.parts(which.output)),
    )


def _ticket(run_id: RunId, which: EvidenceSet, part: str) -> bytes:
    return json.dumps([run_id, which.value, part]).encode()


def _read_ticket(ticket: bytes) -> tuple[str, EvidenceSet, str]:
    try:
        if len(ticket) > _MAX_TICKET_BYTES:
            raise ValueError
        run_id, which, part = json.loads(ticket)
        return str(run_id), EvidenceSet(which), str(part)
    except (ValueError, TypeError, RecursionError):
        raise RequestRefused(
            "This is no ticket of this server; get_flight_info gives them."
        ) from None


def _path(descriptor: flight.FlightDescriptor) -> tuple[str, EvidenceSet]:
    known = " | ".join(EvidenceSet)
    path = descriptor.path or []  # a command has none
    try:
        if len(path) > _MAX_STEPS:
            raise ValueError
        run_id, which = (_text(step) for step in path)
        return run_id, EvidenceSet(which)
    except ValueError:
        raise RequestRefused(f"A result set has the path [run_id, {known}].") from None


def _text(value: bytes) -> str:
    if len(value) > _MAX_NAME_BYTES:
        raise RequestRefused(
            f"A name of {len(value)} bytes is none of a result set; {_MAX_NAME_BYTES} is the most."
        )
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RequestRefused("A run id is text in UTF-8.") from None
