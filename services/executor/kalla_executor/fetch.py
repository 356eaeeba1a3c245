"""Takes spools from peers: one request each, several peers at a time, against a budget of bytes.

What comes is put down in files at once, so that memory holds a few pieces at most. Nothing waits
without a bound: a peer that sends nothing for a while has failed.
"""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue

import pyarrow as pa
import pyarrow.flight as flight

from kalla_core.engine.spool.requests import SpoolRequest
from kalla_core.engine.spool.spool import Segment, SpoolFile
from kalla_core.engine.spool.spool_folder import NotSpooled, SpoolFolder
from kalla_core.errors import FetchFailed, KallaError
from kalla_core.evidence.disk import disk_errors
from kalla_core.fragments.attempt import parse_attempt_id
from kalla_core.fragments.fetch_fault import FetchFault, fetch_failed
from kalla_executor.exchange import PACKED, PIECE_BYTES, index_of, payload
from kalla_executor.flight import BUSY, missing_attempts

PEERS_AT_ONCE = 4
BUDGET_BYTES = 32 << 20
_TRIES = 3
_PAUSE_S = 0.3
_LOOK_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True)
class Request:
    """All that a fragment wants of one peer, and the ticket for it.

    Attributes:
        authorities: by which the peer is known over TLS, as PEM; None for a peer without.
    """

    executor_id: str
    host: str
    port: int
    ticket: bytes
    wants: tuple[SpoolRequest, ...]
    authorities: bytes | None = None

    @property
    def fault(self) -> FetchFault:
        """What to say if nothing of it can be had."""
        attempts = dict.fromkeys(want.place.attempt for want in self.wants)
        return FetchFault(self.executor_id, tuple(attempts), unreachable=True)


class ByteBudget:
    """How many bytes may be on their way into this process.

    Somebody who asks while nobody holds any gets what he asks for, however much it is, so that
    nobody waits for ever.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._changed = threading.Condition()
        self.waited_s = 0.0
        """How long those who asked waited, all threads together."""

    def take(self, size: int) -> None:
        """Wait until `size` bytes are free."""
        with self._changed:
            if not self._free(size):
                start = time.monotonic()
                self._changed.wait_for(lambda: self._free(size))
                self.waited_s += time.monotonic() - start
            self._held += size

    def give_back(self, size: int) -> None:
        """Let others have them."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def _free(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._most


@dataclass
class _Progress:
    """What the threads have done, for whoever watches them."""

    on_bytes: Callable[[int], None]
    lock: threading.Lock = field(default_factory=threading.Lock)
    heard: dict[str, float] = field(default_factory=dict)

    def hear(self, executor_id: str, size: int = 0) -> None:
        with self.lock:
            self.heard[executor_id] = time.monotonic()
            self.on_bytes(size)

    def silent_for_s(self, executor_id: str) -> float:
        with self.lock:
            return time.monotonic() - self.heard.get(executor_id, time.monotonic())


def own_files(folder: SpoolFolder, wants: Sequence[SpoolRequest]) -> dict[SpoolRequest, SpoolFile]:
    """Return files of this executor itself, read where they lie.

    Raises:
        FetchFailed: some are not here, naming all of them.
    """
    files: dict[SpoolRequest, SpoolFile] = {}
    missing = []
    for want in wants:
        try:
            file = folder.open(want.place.attempt, want.kind)
            files[want] = SpoolFile(file.path, file.segments, want.fault)
        except NotSpooled:
            missing.append(want.place.attempt)
    if missing:
        fault = FetchFault(wants[0].place.executor_id, tuple(dict.fromkeys(missing)))
        raise fetch_failed(f"Spools of this executor are gone, the first is {missing[0]}.", fault)
    return files


def files_beside(folder: SpoolFolder, request: Request) -> dict[SpoolRequest, SpoolFile]:
    """Return what a peer on this machine has, read where it lies; nothing if some cannot be.

    What two executors spool below one folder need not go through both of them.
    """
    if not _is_here(request.host):
        return {}
    theirs = folder.beside(request.executor_id)
    files = {}
    with suppress(NotSpooled):
        for want in request.wants:
            file = theirs.open(want.place.attempt, want.kind)
            files[want] = SpoolFile(file.path, file.segments, want.fault)
        return files
    return {}


def fetch_all(
    requests: Sequence[Request],
    folder: Path,
    on_bytes: Callable[[int], None],
    patience_s: float = 30.0,
    budget: ByteBudget | None = None,
) -> dict[SpoolRequest, SpoolFile]:
    """Fetch everything into files below an existing folder.

    Args:
        on_bytes: told of bytes as they come; called from several threads, one at a time.
        patience_s: how long a peer may send nothing.
        budget: for what is on its way; `BUDGET_BYTES` by default.

    Raises:
        FetchFailed: a peer cannot be reached, lacks something, or falls silent.
        OutOfDisk: no room here.
    """
    progress = _Progress(on_bytes)
    waiting: SimpleQueue[tuple[int, Request]] = SimpleQueue()
    for numbered in enumerate(requests):
        waiting.put(numbered)
    ended: SimpleQueue[tuple[str, dict[SpoolRequest, SpoolFile] | BaseException]] = SimpleQueue()
    permits = budget or ByteBudget(BUDGET_BYTES)

    def work() -> None:
        with suppress(Empty):
            while True:
                number, request = waiting.get_nowait()
                try:
                    got = _fetch(request, folder / str(number), permits, progress)
                    ended.put((request.executor_id, got))
                except BaseException as error:  # a thread's end is for the caller to judge
                    ended.put((request.executor_id, error))

    for _ in range(min(PEERS_AT_ONCE, len(requests))):
        # Daemons: one that hangs in a call must not hold up the process, which ends soon.
        threading.Thread(target=work, daemon=True, name="fetch").start()
    return _gather(requests, ended, progress, patience_s)


def _gather(
    requests: Sequence[Request],
    ended: SimpleQueue[tuple[str, dict[SpoolRequest, SpoolFile] | BaseException]],
    progress: _Progress,
    patience_s: float,
) -> dict[SpoolRequest, SpoolFile]:
    open_requests = {request.executor_id: request for request in requests}
    files: dict[SpoolRequest, SpoolFile] = {}
    while open_requests:
        try:
            executor_id, got = ended.get(timeout=_LOOK_INTERVAL_S)
        except Empty:
            for executor_id, request in open_requests.items():
                if progress.silent_for_s(executor_id) > patience_s:
                    raise _unreachable(request, f"nothing came for {patience_s:g} s") from None
            continue
        if isinstance(got, BaseException):
            raise got
        del open_requests[executor_id]
        files |= got
    return files


def _fetch(
    request: Request, folder: Path, budget: ByteBudget, progress: _Progress
) -> dict[SpoolRequest, SpoolFile]:
    """Fetch from one peer; a peer that does not answer is asked again, a few times."""
    pause = threading.Event()
    progress.hear(request.executor_id)  # a further try is no sign of life
    for attempt in range(1, _TRIES + 1):
        try:
            target = folder.with_name(f"{folder.name}-{attempt}")
            return _fetch_once(request, target, budget, progress)
        except flight.FlightUnavailableError as error:
            if BUSY in str(error):
                progress.hear(request.executor_id)
            if attempt == _TRIES:
                raise _unreachable(request, str(error)) from error
            pause.wait(_PAUSE_S * attempt)
        except (pa.ArrowException, EOFError, ValueError) as error:
            raise _refused(request, error) from error
    raise AssertionError("the last try returns or raises")


def _fetch_once(
    request: Request, folder: Path, budget: ByteBudget, progress: _Progress
) -> dict[SpoolRequest, SpoolFile]:
    with disk_errors(folder):
        folder.mkdir()
    with closing(_connected(request)) as client:
        reader = client.do_get(flight.Ticket(request.ticket), _options(request.host))
        incoming = _Incoming(request, folder)
        try:
            for chunk in _chunks(reader, budget):
                data = payload(chunk.data, chunk.app_metadata)
                incoming.take(data, index_of(chunk.app_metadata))
                progress.hear(request.executor_id, data.size)
            return incoming.finish()
        finally:
            incoming.close()
            reader.cancel()


def _chunks(
    reader: flight.FlightStreamReader, budget: ByteBudget
) -> Iterator[flight.FlightStreamChunk]:
    """Yield what comes; while a piece is read and put down, its bytes are the budget's."""
    while True:
        budget.take(PIECE_BYTES)
        try:
            try:
                chunk = reader.read_chunk()
            except StopIteration:
                return
            yield chunk
        finally:
            budget.give_back(PIECE_BYTES)


class _Incoming:
    """The files of one request while they come, one after the other."""

    def __init__(self, request: Request, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._files: dict[SpoolRequest, SpoolFile] = {}
        self._descriptor = -1
        self._due = 0

    def take(self, data: pa.Buffer, index: tuple[Segment, ...] | None) -> None:
        if index is not None:
            self._begin(index)
        self._due -= data.size
        if self._due < 0:
            raise EOFError("more came than was told")
        view = memoryview(data)
        with disk_errors(self._folder):
            while view:
                view = view[os.write(self._descriptor, view) :]

    def finish(self) -> dict[SpoolRequest, SpoolFile]:
        self._complete()
        if len(self._files) != len(self._request.wants):
            raise EOFError("less came than was asked for")
        return self._files

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _complete(self) -> None:
        if self._due > 0:
            raise EOFError("a file came to an early end")
        self.close()

    def _begin(self, segments: tuple[Segment, ...]) -> None:
        self._complete()
        want = self._request.wants[len(self._files)]
        path = self._folder / str(len(self._files))
        with disk_errors(path):
            self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._due = sum(segment.length for segment in segments)
        self._files[want] = SpoolFile(path, segments, want.fault)


def _connected(request: Request) -> flight.FlightClient:
    if request.authorities is None:
        return flight.connect(f"grpc://{_address(request)}")
    return flight.connect(f"grpc+tls://{_address(request)}", tls_root_certs=request.authorities)


def _options(host: str) -> flight.FlightCallOptions:
    """Ask for packed pieces of peers that are elsewhere: within a machine bytes cost nothing."""
    name, value = PACKED
    headers = [] if _is_here(host) else [(name.encode(), value.encode())]
    return flight.FlightCallOptions(headers=headers)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(request: Request) -> str:
    host = f"[{request.host}]" if ":" in request.host else request.host
    return f"{host}:{request.port}"


def _unreachable(request: Request, said: str) -> FetchFailed:
    return fetch_failed(
        f"The executor {request.executor_id} at {_address(request)} does not answer: {said}.",
        request.fault,
    )


def _refused(request: Request, error: Exception) -> KallaError:
    missing = missing_attempts(error)
    if not missing:
        said = f"{type(error).__name__}: {error}"
        return fetch_failed(
            f"What the executor {request.executor_id} at {_address(request)} sent is not what was "
            f"asked for: {said}.",
            replace(request.fault, unreachable=False),
        )
    attempts = tuple(dict.fromkeys(parse_attempt_id(one) for one in missing))
    return fetch_failed(
        f"The executor {request.executor_id} does not have {len(attempts)} of the spools that "
        f"are wanted of it, the first is {attempts[0]}.",
        FetchFault(request.executor_id, attempts),
    )
