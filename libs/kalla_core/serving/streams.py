"""Answers that come in pieces, and end when nobody listens any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Executor

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class StreamedResponse(Response):
    """An answer whose body is made while it is sent, no faster than it is taken.

    When the client goes away, or the server stops, the generator is closed at once.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._pieces = pieces
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not sending.done():
                sending.cancel()
            outcome, _ = await asyncio.gather(sending, gone, return_exceptions=True)
            await self._pieces.aclose()
        if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
            raise outcome  # the connection is cut, so that half an answer is not taken for one

    async def _send(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def in_threads(
    pool: Executor | None, pieces: Iterator[bytes], close: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """Return what an iterator makes in a thread, one piece at a time; `close` is called at the end.

    It is called when no thread works on a piece any more, also if the generator is closed before,
    or nobody ever takes a piece.
    """
    begun = _in_threads(pool, pieces, close)
    await anext(begun)  # from here on closing it runs its end
    return begun


async def _in_threads(
    pool: Executor | None, pieces: Iterator[bytes], close: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    step: asyncio.Future[bytes | None] | None = None
    try:
        yield b""
        while True:
            step = loop.run_in_executor(pool, next, pieces, None)
            piece = await asyncio.shield(step)
            if piece is None:
                return
            if piece:
                yield piece
    finally:
        if step is not None and not step.done():
            await asyncio.wait({step})
        await loop.run_in_executor(pool, close)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
