"""Uvicorn as a part of a process, on a socket that is there before it serves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from kalla_core.errors import InvalidSetting
from kalla_core.serving.connections import HEADERS_PATIENCE_S, bounded_http, most_connections
from kalla_core.settings.tls import Certificate

_BACKLOG = 1024


@contextmanager
def listening_at(host: str, port: int, *, shared: bool = False) -> Iterator[socket.socket]:
    """Listen; whoever comes before somebody serves has to wait.

    Args:
        shared: other processes that share it too may listen on the same port.

    Raises:
        InvalidSetting: the port is taken.
    """
    listener = _listener(host, port, shared=shared)
    try:
        yield listener
    finally:
        listener.close()


@asynccontextmanager
async def serving_http(
    app: ASGIApp, listener: socket.socket, grace_s: float, certificate: Certificate | None
) -> AsyncIterator[None]:
    """Serve an application on a socket until the block ends.

    Args:
        grace_s: how long answers that are under way may take then.
        certificate: with it, TLS only.
    """
    config = uvicorn.Config(
        app,
        http=bounded_http(HEADERS_PATIENCE_S, most_connections()),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(grace_s)),
        ssl_certfile=None if certificate is None else certificate.chain_file,
        ssl_keyfile=None if certificate is None else certificate.key_file,
    )
    server = _Server(config)
    # A copy: the server closes what it is given.
    running = asyncio.create_task(server.serve([listener.dup()]), name="kalla-http")
    try:
        await asyncio.wait(
            {running, asyncio.ensure_future(server.ready.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
        yield
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    """Uvicorn as a part of a process that minds its signals itself."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # TCP by name: asyncio sends small answers at once only on sockets that say so.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise InvalidSetting(
            f"The HTTP port {host}:{port} cannot be taken: {error.strerror}."
        ) from error
    return listener
