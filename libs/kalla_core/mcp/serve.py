"""Serving the tools over standard input and output, or over HTTP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kalla_core.errors import KallaError, NotAllowed, Unauthenticated
from kalla_core.serving.server import listening_at, serving_http
from kalla_core.settings.tls import Certificate
from kalla_core.settings.tokens import CHALLENGE, Role, Token, tokens_sent

PATH = "/mcp"
_GRACE_S = 2.0
_MOST_BODY_BYTES = 2 << 20
_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Door:
    """Where tools are served over HTTP, and for whom.

    Attributes:
        port: 0 for a free one.
        tokens: those that may submit let a caller in, since the tools run recipes; empty lets
            everybody in.
        hosts: names that callers may call it by, beside this machine's own.
    """

    host: str
    port: int
    tokens: Sequence[Token] = ()
    hosts: Sequence[str] = ()
    certificate: Certificate | None = None


async def over_stdio(server: MCPServer) -> None:
    """Serve one client, until it closes standard input or this process is told to end."""
    await _until_told(server.run_stdio_async())


async def over_http(server: MCPServer, door: Door, ready: Callable[[str], None]) -> None:
    """Serve clients over streamable HTTP until this process is told to end.

    Args:
        ready: called with the address once it listens.

    Raises:
        InvalidSetting: the port is taken.
    """
    app = guarded(server, door)
    with listening_at(door.host, door.port) as listener:
        scheme = "http" if door.certificate is None else "https"
        address = f"{scheme}://{door.host}:{listener.getsockname()[1]}{PATH}"
        async with (
            server.session_manager.run(),
            serving_http(app, listener, _GRACE_S, door.certificate),
        ):
            ready(address)
            await _until_told(asyncio.Event().wait())


def guarded(server: MCPServer, door: Door) -> ASGIApp:
    """Return the application: who may come in, from where, and with how much."""
    names = [*_OWN_NAMES, *([door.host] if door.host != "0.0.0.0" else []), *door.hosts]  # noqa: S104
    schemes = ("http", "https")
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[pattern for name in names for pattern in (name, f"{name}:*")],
        allowed_origins=[f"{s}://{name}{port}" for s in schemes for name in names
                         for port in ("", ":*")],
    )  # fmt: skip
    app = server.streamable_http_app(
        streamable_http_path=PATH, host=door.host, transport_security=security,
        max_request_body_size=_MOST_BODY_BYTES,
    )  # fmt: skip
    return _Admitting(app, door.tokens) if door.tokens else app


class _Admitting:
    """Lets in who sends a token."""

    def __init__(self, app: ASGIApp, tokens: Sequence[Token]) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            sent = headers.get(b"authorization")
            try:
                tokens = tokens_sent(self._tokens, None if sent is None else sent.decode("latin-1"))
            except Unauthenticated as error:
                refusal = _refusal(error, 401, {"WWW-Authenticate": CHALLENGE})
                await refusal(scope, receive, send)
                return
            if not any(token.may(Role.SUBMIT) for token in tokens):
                words = "This token may not submit jobs, which the tools do."
                await _refusal(NotAllowed(words), 403, {})(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(error: KallaError, status: int, headers: Mapping[str, str]) -> JSONResponse:
    body = {"error": {"code": error.code, "message": str(error)}}
    return JSONResponse(body, status, headers)


async def _until_told(work: Awaitable[Any]) -> None:
    """Wait for work until it has ended, or this process is told to end."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, told.set)
    running = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(told.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        waiting.cancel()
        if not running.done():
            running.cancel()
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
