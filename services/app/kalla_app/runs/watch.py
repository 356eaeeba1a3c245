"""Watching runs: however many watch one, it is read once for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from kalla_app.changes import Changes
from kalla_app.runs.service import run_json
from kalla_app.store.runs import Run

_LOOK_S = 1.0
_SIGN_OF_LIFE_S = 15.0


@dataclass(slots=True)
class _Watch:
    """A run that somebody watches.

    Attributes:
        number: of what is shown, from 1; 0 while nothing was read.
        news: is set when there is something new, and then another takes its place.
    """

    reading: asyncio.Task[None] | None = None
    viewers: int = 0
    number: int = 0
    event: bytes = b""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, event: bytes) -> None:
        self.event, self.number = event, self.number + 1
        self.wake()

    def wake(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


class Watches:
    """Asyncio.

    Args:
        read: a run by its id.
        closing: set when the app stops, so that streams end.
    """

    def __init__(
        self, read: Callable[[str], Awaitable[Run]], changes: Changes, closing: asyncio.Event
    ) -> None:
        self._read = read
        self._changes = changes
        self._closing = closing
        self._open: dict[str, _Watch] = {}

    async def events(self, run_id: str) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events, each with a run as it then is, until it has ended.

        Raises:
            KallaError: it cannot be read any more.
        """
        watch = self._open.get(run_id)
        if watch is None:
            watch = self._open[run_id] = _Watch()
            watch.reading = asyncio.create_task(self._follow(run_id, watch), name="watch-run")
        watch.viewers += 1
        seen = 0
        try:
            while True:
                news = watch.news
                if watch.number != seen:
                    seen = watch.number
                    yield watch.event
                    continue
                if watch.reading is None or watch.reading.done():
                    break
                try:
                    async with asyncio.timeout(_SIGN_OF_LIFE_S):
                        await news.wait()
                except TimeoutError:
                    yield b": still here\n\n"
            if watch.reading is not None:
                watch.reading.result()  # raises what it was ended by
        finally:
            watch.viewers -= 1
            if watch.viewers == 0:
                await self._forget(run_id, watch)

    async def _follow(self, run_id: str, watch: _Watch) -> None:
        last: Run | None = None
        try:
            while not self._closing.is_set():
                run = await self._read(run_id)
                if last is None or run.state != last.state:
                    watch.show(f"data: {json.dumps(run_json(run))}\n\n".encode())
                if run.state.status.final:
                    return
                last = run
                await self._changes.wait(run_id, _LOOK_S)
        finally:
            # Whoever comes from now on looks anew; whoever is here sees that this has ended.
            if self._open.get(run_id) is watch:
                del self._open[run_id]
            asyncio.get_running_loop().call_soon(watch.wake)

    async def _forget(self, run_id: str, watch: _Watch) -> None:
        if self._open.get(run_id) is watch:
            del self._open[run_id]
        if watch.reading is not None:
            watch.reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await watch.reading
