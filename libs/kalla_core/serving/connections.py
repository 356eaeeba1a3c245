"""HTTP connections: how many, how long until one asks, and how long it may take no answer.

What a connection costs is paid before anybody shows a token: a descriptor, and some memory.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_PATIENCE_S = 15.0
STUCK_PATIENCE_S = 60.0
_MOST = 4096


def most_connections() -> int:
    """Return how many there may be: at most half of the files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(1, min(_MOST, soft // 2))


def bounded_http(
    patience_s: float, most: int, stuck_s: float = STUCK_PATIENCE_S
) -> type[H11Protocol]:
    """Return uvicorn's HTTP/1.1 for connections that are bounded.

    Args:
        patience_s: from the first byte of a request, or from the connection, to the end of its
            headers; between requests it is uvicorn's own time to keep a connection alive.
        most: connections; one more takes the place of the one that has waited for the longest
            without a request, and is closed if all are at work.
        stuck_s: how long a client may take nothing of an answer that is there for it.
    """

    class BoundedHttp(H11Protocol):
        _late: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.heard_s = self.loop.time()
            self._wait_for_headers()
            if len(self.connections) > most:
                every: list[Any] = [*self.connections]
                idle = [one for one in every if _asks_nothing(one)]
                min(idle, key=lambda one: one.heard_s, default=self).transport.abort()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.heard_s = self.loop.time()
            if _asks_nothing(self):
                self._wait_for_headers()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self._go_on()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._look_again()

        def resume_writing(self) -> None:
            self._go_on()
            super().resume_writing()

        def _look_again(self) -> None:
            left = self.transport.get_write_buffer_size()
            self._stuck = self.loop.call_later(stuck_s, self._end_if_stuck, left)

        def _end_if_stuck(self, before: int) -> None:
            if self.transport.get_write_buffer_size() < before:
                self._look_again()  # slow, but not still
            else:
                self.transport.abort()

        def _go_on(self) -> None:
            if self._stuck is not None:
                self._stuck.cancel()
                self._stuck = None

        def _wait_for_headers(self) -> None:
            if self._late is None:
                self._late = self.loop.call_later(patience_s, self._end)

        def _stop_waiting(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _end(self) -> None:
            self._late = None
            if _asks_nothing(self):
                self.transport.abort()

    return BoundedHttp


def _asks_nothing(connection: Any) -> bool:
    return connection.conn.their_state is h11.IDLE
