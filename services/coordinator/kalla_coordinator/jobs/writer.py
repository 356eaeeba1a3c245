"""Writes of many callers in few transactions: a commit to disk costs the same for one as for all.

What comes while one transaction is being written waits for the next. Each caller learns that its
own write is on disk, or why it is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kalla_core.errors import StoreUnavailable
from kalla_core.observe.logs import get_logger

Write = Callable[[AsyncConnection], Awaitable[None]]

_MOST_AT_ONCE = 256
_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    write: Write
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GroupWriter:
    """The only writer of a store; to be started and closed on the event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._wanted: asyncio.Queue[_Wanted] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._work(), name="store-writer")

    async def close(self) -> None:
        """Write what was asked for so far, and end."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.join(), _PATIENCE_S)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def write(self, write: Write) -> None:
        """Carry out a write; returns once it is on disk, even if the caller is cancelled.

        Raises:
            StoreUnavailable: it is not.
        """
        if self._task is None:
            raise StoreUnavailable("The job store is closed.")
        wanted = _Wanted(write)
        self._wanted.put_nowait(wanted)
        await asyncio.shield(wanted.done)

    async def _work(self) -> None:
        while True:
            batch = [await self._wanted.get()]
            while not self._wanted.empty() and len(batch) < _MOST_AT_ONCE:
                batch.append(self._wanted.get_nowait())
            await self._write_all(batch)
            for _ in batch:
                self._wanted.task_done()

    async def _write_all(self, batch: list[_Wanted]) -> None:
        try:
            await self._transaction(batch)
        except TimeoutError as error:
            for one in batch:  # the store does not answer; each alone would wait as long again
                _fail(one, error)
        except Exception as error:  # also what a driver says of a value: it costs that write only
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for one in batch:  # so that one bad write does not take the others with it
                await self._write_all([one])
        else:
            for one in batch:
                if not one.done.done():
                    one.done.set_result(None)

    async def _transaction(self, batch: list[_Wanted]) -> None:
        async with asyncio.timeout(_PATIENCE_S), self._engine.begin() as connection:
            for one in batch:
                await one.write(connection)


def _fail(wanted: _Wanted, error: Exception) -> None:
    get_logger().error("store_write_failed", error=type(error).__name__)
    if not wanted.done.done():
        failure = StoreUnavailable("The job store cannot be written; try again later.")
        failure.__cause__ = error
        wanted.done.set_exception(failure)
        wanted.done.exception()  # whoever asked may have gone
