"""The three servers: started on their ports, stopped in bounded time.

async with serving(service, settings, registry=registry) as ports:
    ...                                  # ports.http, ports.grpc and ports.results are open
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from kalla_coordinator.api.auth import Tokens
from kalla_coordinator.api.budget import Budget, results_bytes
from kalla_coordinator.api.context import Api
from kalla_coordinator.api.flight import FlightServer
from kalla_coordinator.api.grpc import ExtraServicer, GrpcServer
from kalla_coordinator.api.http import application
from kalla_coordinator.api.inspector import CheckSources, Inspector
from kalla_coordinator.api.waiting import waiting_application
from kalla_coordinator.jobs.service import JobService
from kalla_core.engine.processes.children import Limits
from kalla_core.engine.processes.spawned import Start
from kalla_core.observe.logs import get_logger
from kalla_core.serving.server import listening_at, serving_http
from kalla_core.settings import CoordinatorSettings
from kalla_core.settings.tls import read_certificate
from kalla_core.settings.tokens import read_tokens
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.warden import Bounds, bounded, most_of_a_port

GRACE_S = 5.0
HEARTBEAT_S = 15.0
STILL_S = 120.0
_READERS = 8


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers listen."""

    http: int
    grpc: int
    results: int


@asynccontextmanager
async def serving(
    service: JobService,
    settings: CoordinatorSettings,
    *,
    registry: CollectorRegistry,
    listener: socket.socket | None = None,
    access: SourceAccess = EVERYTHING,
    check_sources: CheckSources | None = None,
    extra_servicers: Sequence[ExtraServicer] = (),
    inspection_limits: Limits | None = None,
    start_child: Start | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    grace_s: float = GRACE_S,
) -> AsyncIterator[Ports]:
    """Serve jobs over HTTP, gRPC and Flight until the block ends.

    Args:
        registry: what `/metrics` shows.
        listener: of `listening`, for HTTP; None to listen on the port of the settings.
        access: what sources may be reached by validate, explain and preview.
        check_sources: which URIs they may look at; None for all.
        extra_servicers: further services on the gRPC port.
        inspection_limits: of each process that looks at a recipe or a source.
        start_child: how such a process is started, as `engine.children.running` takes it.
        heartbeat_s: silence after which streams of events show that they live.
        grace_s: how long calls that go on may take when the block ends; streams end at once.

    Raises:
        InvalidSetting: a port is taken, the token or TLS files are no good, or others than this
            machine could come in without a token.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        readers = ThreadPoolExecutor(_READERS, "kalla-results")
        stack.callback(readers.shutdown, wait=False, cancel_futures=True)
        inspector = Inspector(settings, access, inspection_limits, start_child, check_sources)
        stack.push_async_callback(inspector.close)
        api = Api(
            service=service,
            inspector=inspector,
            tokens=Tokens(read_tokens(settings)),
            registry=registry,
            readers=readers,
            budget=Budget(results_bytes(settings.memory_limit_bytes)),
            closing=asyncio.Event(),
            heartbeat_s=heartbeat_s,
        )
        host, certificate = settings.bind_host, read_certificate(settings)
        grpc_server = GrpcServer(api, extra_servicers)
        grpc_port = await grpc_server.start(_bracketed(host), settings.grpc_port, certificate)
        stack.push_async_callback(grpc_server.stop, grace_s)
        flight = FlightServer(api, _bracketed(host), settings.results_port, loop, certificate)
        stack.push_async_callback(_stop_flight, flight, grace_s)
        stack.enter_context(_bounded(grpc_port, flight.port))
        if listener is None:
            listener = stack.enter_context(listening(settings))
        await stack.enter_async_context(
            serving_http(application(api), listener, grace_s, certificate)
        )
        stack.callback(api.closing.set)  # first of all: streams end, and so their servers can
        yield Ports(listener.getsockname()[1], grpc_port, flight.port)


def _bounded(grpc_port: int, results_port: int) -> AbstractContextManager[None]:
    """Bound what servers cannot that own their sockets; streams of executors may be still."""
    most = most_of_a_port()
    return bounded({grpc_port: Bounds(most), results_port: Bounds(most, still_s=STILL_S)})


def listening(settings: CoordinatorSettings) -> AbstractContextManager[socket.socket]:
    """Listen for HTTP; whoever comes before somebody serves has to wait.

    Raises:
        InvalidSetting: the port is taken.
    """
    return listening_at(settings.bind_host, settings.http_port)


@asynccontextmanager
async def serving_the_wait(
    settings: CoordinatorSettings, listener: socket.socket
) -> AsyncIterator[None]:
    """Say over HTTP that the job store is another's, until the block ends.

    Raises:
        InvalidSetting: the TLS files are no good.
    """
    async with serving_http(waiting_application, listener, GRACE_S, read_certificate(settings)):
        yield


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


async def _stop_flight(server: FlightServer, patience_s: float) -> None:
    if not await asyncio.to_thread(server.stop, patience_s):
        get_logger().warning("flight_cut_off", why="a result set is still being fetched")
