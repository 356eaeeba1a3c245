"""Connections that ask for nothing end, and make room for those who ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from kalla_core.serving.connections import bounded_http, most_connections
from kalla_core.serving.streams import StreamedResponse

LONG_S = 600.0
REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    await PlainTextResponse("hello")(scope, receive, send)


@asynccontextmanager
async def listening(
    patience_s: float, most: int, stuck_s: float = LONG_S, app: ASGIApp = _hello
) -> AsyncIterator[int]:
    config, state = Config(app, log_config=None, lifespan="off"), ServerState()
    config.load()
    kind = bounded_http(patience_s, most, stuck_s)
    server = await asyncio.get_running_loop().create_server(
        lambda: kind(config, state, {}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in list(state.connections):
            one.transport.abort()
        await server.wait_closed()


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(30):
        with suppress(ConnectionResetError):
            return await reader.read()
    return b""


async def test_headers_that_never_end_end_the_connection() -> None:
    async with listening(patience_s=0.2, most=10) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost:")

        said = await _until_closed(reader)
        writer.close()

    assert said == b""


async def test_a_body_may_take_longer_than_headers() -> None:
    async with listening(patience_s=0.1, most=10) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 2\r\n\r\na"
        )
        silent, other = await asyncio.open_connection("127.0.0.1", port)
        await _until_closed(silent)  # a whole patience has gone by
        writer.write(b"b")

        said = await _until_closed(reader)
        writer.close()
        other.close()

    assert said.startswith(b"HTTP/1.1 200")


async def test_one_too_many_takes_the_place_of_the_longest_idle() -> None:
    async with listening(LONG_S, most=2) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)

        answered = await asyncio.wait_for(reader.readline(), 30)
        closed = await _until_closed(idle[0][0])
        idle[1][1].write(REQUEST)
        second = await asyncio.wait_for(idle[1][0].readline(), 30)
        for _, one in (*idle, (reader, writer)):
            one.close()

    assert (answered, closed, second) == (b"HTTP/1.1 200 OK\r\n", b"", b"HTTP/1.1 200 OK\r\n")


def test_there_are_no_more_than_descriptors_for_them() -> None:
    assert 1 <= most_connections() <= 4096


class _Endless:
    """An answer that never ends; counts what was taken of it, and says when nobody takes more."""

    def __init__(self) -> None:
        self.sent = 0
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pieces() -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    await asyncio.sleep(0)
                    yield b"x" * (1 << 20)
                    self.sent += 1
            finally:
                self.over.set()

        await StreamedResponse(pieces(), "text/plain")(scope, receive, send)


async def test_an_answer_that_nobody_takes_is_ended() -> None:
    app = _Endless()
    async with listening(LONG_S, most=10, stuck_s=0.2, app=app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        writer.write(REQUEST)

        async with asyncio.timeout(30):
            await app.over.wait()
        writer.transport.abort()


async def test_an_answer_that_is_taken_slowly_is_not() -> None:
    app = _Endless()
    async with listening(LONG_S, most=10, stuck_s=0.4, app=app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        writer.write(REQUEST)

        for _ in range(6):
            with suppress(TimeoutError):
                await asyncio.wait_for(app.over.wait(), 0.2)
            await reader.readexactly(4 << 20)
        over = app.over.is_set()
        writer.transport.abort()

    assert not over
