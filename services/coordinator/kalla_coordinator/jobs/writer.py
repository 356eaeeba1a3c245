"""Writes of many callers in few transactions: a commit to disk costs the same for one as for all.

What comes while one transaction is being written waits for the next, in which everything of one
kind is written together. Each caller learns that its own write is on disk, or why it is not.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from kalla_coordinator.jobs.ownership import Ownership
from kalla_core.errors import ShuttingDown, StoreUnavailable
from kalla_core.observe.logs import get_logger

T = TypeVar("T")
R = TypeVar("R")

Write = Callable[[Connection, Sequence[T]], Sequence[R]]
"""Writes all of some things, which are about different rows; returns one result for each."""

_MOST_AT_ONCE = 256
_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    write: Write[Any, Any]
    what: Any
    done: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GroupWriter:
    """The only writer of a store; to be started and closed on the event loop."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
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

    async def write(self, write: Write[T, R], what: T) -> R:
        """Write one thing; returns its result once it is on disk.

        It gets there even if the caller is cancelled. Things that are written at the same time
        may go in any order, those of one `write` in one call.

        Raises:
            StoreUnavailable: it is not.
            ShuttingDown: another coordinator has taken the store over.
        """
        if self._task is None:
            raise StoreUnavailable("The job store is closed.")
        wanted = _Wanted(write, what)
        self._wanted.put_nowait(wanted)
        result: R = await asyncio.shield(wanted.done)
        return result

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
            results = await self._transaction(batch)
        except (TimeoutError, ShuttingDown) as error:
            for one in batch:  # the store does not answer; each alone would wait as long again
                _fail(one, error)
        except Exception as error:  # also what a driver says of a value: it costs that write only
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for one in batch:  # so that one bad write does not take the others with it
                await self._write_all([one])
        else:
            for one, result in results:
                if not one.done.done():
                    one.done.set_result(result)

    async def _transaction(self, batch: list[_Wanted]) -> list[tuple[_Wanted, Any]]:
        kinds: dict[Write[Any, Any], list[_Wanted]] = {}
        for one in batch:
            kinds.setdefault(one.write, []).append(one)
        async with asyncio.timeout(_PATIENCE_S):
            return await self._ownership.transact(partial(_written, kinds))


def _written(
    kinds: dict[Write[Any, Any], list[_Wanted]], connection: Connection
) -> list[tuple[_Wanted, Any]]:
    results: list[tuple[_Wanted, Any]] = []
    for write, alike in kinds.items():
        results += zip(alike, write(connection, [one.what for one in alike]), strict=True)
    return results


def _fail(wanted: _Wanted, error: Exception) -> None:
    cause = _cause(error)
    if not wanted.done.done():
        failure: Exception = error
        if not isinstance(error, ShuttingDown):
            why = "" if cause is None else f": {cause}"
            failure = StoreUnavailable(f"The job store cannot be written{why}; try again later.")
            failure.__cause__ = error
        wanted.done.set_exception(failure)
        wanted.done.exception()  # whoever asked may have gone
    get_logger().error("store_write_failed", error=type(error).__name__, cause=cause)


def _cause(error: Exception) -> str | None:
    """Return what a caller may know of it; what a database server says may tell where it is."""
    inner = getattr(error, "orig", error)
    if isinstance(inner, sqlite3.OperationalError):
        return str(inner)
    return inner.strerror if isinstance(inner, OSError) else None
