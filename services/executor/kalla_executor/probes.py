"""Health, readiness and metrics over HTTP; health over gRPC."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kalla_core.error_json import answer
from kalla_core.errors import Unauthenticated
from kalla_core.settings.tls import Certificate
from kalla_core.settings.tokens import CHALLENGE, Token, tokens_sent
from kalla_core.wire.server_options import SERVER_OPTIONS
from kalla_executor.metrics import ExecutorMetrics

_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the program it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def web_app(
    metrics: ExecutorMetrics, why_not_ready: Callable[[], str | None], tokens: Sequence[Token]
) -> Starlette:
    """Return `/health` and `/ready`, for everybody, and `/metrics`.

    Args:
        tokens: any of them lets a caller see the metrics; with none nobody is asked.
    """

    def alive(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def ready(_: Request) -> Response:
        reason = why_not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    def measured(request: Request) -> Response:
        try:
            if tokens:
                tokens_sent(tokens, request.headers.get("authorization"))
        except Unauthenticated as error:
            challenge = {"WWW-Authenticate": CHALLENGE}
            return JSONResponse({"error": answer(error)}, 401, challenge)
        return Response(metrics.text(), media_type=_METRICS)

    return Starlette(
        routes=[Route("/health", alive), Route("/ready", ready), Route("/metrics", measured)]
    )


async def serve_web(
    app: Starlette, listening: socket.socket, certificate: Certificate | None
) -> None:
    """Serve on a bound socket until cancelled; with a certificate only TLS is spoken."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ssl_certfile=None if certificate is None else certificate.chain_file,
        ssl_keyfile=None if certificate is None else certificate.key_file,
    )
    server = _Quiet(config)
    try:
        await server.serve(sockets=[listening])
    finally:
        server.should_exit = True


async def serve_health(address: str) -> tuple[grpc.aio.Server, int]:
    """Start the standard gRPC health service; the server and its port."""
    server = grpc.aio.server(options=SERVER_OPTIONS)
    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    return server, port


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        OSError: the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
