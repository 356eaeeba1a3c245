"""A receiver of callbacks: a small real HTTP server on the event loop of the test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

NO_CONTENT = 204
"""Says of its body that there is none, and nothing of its length."""


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass
class Receiver:
    """What came in so far, in order."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    hangs: bool = False
    got: list[Received] = field(default_factory=list)
    open: int = 0
    connections: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._answer(reader, writer)
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.got.append(Received(first.split()[1], headers, body))
        self.news.set()
        if self.hangs:
            await asyncio.Event().wait()
        status = self.answers.pop(0) if self.answers else 200
        length = "" if status == NO_CONTENT else "Content-Length: 0\r\n"
        writer.write(f"HTTP/1.1 {status} X\r\nLocation: /other\r\n{length}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def receiving(
    port: int = 0, answers: Sequence[int] = (), hangs: bool = False
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers=list(answers), hangs=hangs)
    tasks: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def receiving_apart() -> Iterator[Receiver]:
    """Receive on an event loop in a thread of its own, for tests that have none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = receiving()
    try:
        receiver = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        try:
            yield receiver
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
