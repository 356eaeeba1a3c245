"""Who owns a job store: one coordinator, for as long as its process lives.

Two that worked from one store would each take the other's running jobs for its own. Beside SQLite
the owner holds a lock on a file, which the kernel lets go of when the process ends, however it
does. In PostgreSQL it holds an advisory lock on the very connection that it writes over: where the
connection is lost so is the lock, and nothing is written before both are had again. In between
another may have become the owner, and may even be gone again; the name of the last owner, which is
kept in the store, tells that.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kalla_coordinator.jobs.one_thread import OneThread
from kalla_coordinator.jobs.schema import OWNER
from kalla_core.errors import ShuttingDown, StoreUnavailable
from kalla_core.observe.logs import get_logger

Waiting = Callable[[], AbstractAsyncContextManager[asyncio.Event]]
"""What is done while another owns the store; its event ends the wait."""

T = TypeVar("T")

_LOOK_INTERVAL_S = 0.5
_CLOSE_PATIENCE_S = 5.0
_KEY = 5207318
# So that the server notices within half a minute that an owner's machine is gone.
_KEEPALIVES = (
    "tcp_keepalives_idle = 10",
    "tcp_keepalives_interval = 5",
    "tcp_keepalives_count = 4",
)


class Ownership(Protocol):
    """Asyncio, one event loop.

    Attributes:
        lost: set once another owns the store, which is for good.
    """

    lost: asyncio.Event

    async def take(self) -> bool:
        """Become the owner; False while another is.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: the store does not answer.
        """
        ...

    def sign(self, connection: Connection) -> None:
        """Write down who the owner is, in the transaction that brought the tables up to date."""
        ...

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction that only the owner gets; it may run in a thread.

        Raises:
            ShuttingDown: another has become the owner.
            SQLAlchemyError, OSError, TimeoutError: the store does not answer.
        """
        ...

    async def close(self) -> None:
        """Let another become the owner."""
        ...


async def wait_for_turn(ownership: Ownership, waiting: Waiting | None) -> None:
    """Become the owner of a store, once whoever is before us is gone.

    Raises:
        ShuttingDown: told to end meanwhile.
        StoreUnavailable: another is the owner, and nobody wants to wait.
        SQLAlchemyError, OSError, TimeoutError: the store does not answer at the first time.
    """
    if await ownership.take():
        return
    if waiting is None:
        raise StoreUnavailable("Another coordinator owns the job store, and works from it.")
    async with waiting() as told:
        while not told.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), _LOOK_INTERVAL_S)
            # The store may be away for a while, for the owner as for us.
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                if not told.is_set() and await ownership.take():
                    return
    raise ShuttingDown("The coordinator was told to end while it waited for the job store.")


class FileOwnership:
    """A lock on a file beside the SQLite database; see `Ownership`.

    A transaction is done as a whole in one thread, rather than step by step from the event loop:
    it takes a fifth of the time.
    """

    def __init__(self, engine: Engine, lock: Path) -> None:
        self.lost = asyncio.Event()
        self._engine = engine
        self._thread = OneThread("store-writes")
        self._lock = lock
        self._descriptor: int | None = None

    async def take(self) -> bool:
        """Lock the file that is there now; one that was removed meanwhile is no lock."""
        # In a thread: whoever waits looks again and again, and answers `/health` beside.
        self._descriptor = await asyncio.to_thread(self._locked)
        return self._descriptor is not None

    def _locked(self) -> int | None:
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._lock, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), self._lock.stat()):
                taken, descriptor = descriptor, -1
                return taken
        except BlockingIOError:
            return None
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return None

    def sign(self, connection: Connection) -> None:
        """Do nothing: a process has this lock until it ends."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction; see `Ownership`."""
        return await self._thread.do(partial(self._transact, work))

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        """Let go of the lock."""
        with suppress(TimeoutError):  # a disk that hangs holds nobody up
            async with asyncio.timeout(_CLOSE_PATIENCE_S):
                await self._thread.do(self._engine.dispose)
        self._thread.end()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class DatabaseOwnership:
    """An advisory lock on the connection that is written over; see `Ownership`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.lost = asyncio.Event()
        self._engine = engine
        self._name = uuid.uuid4().hex
        self._connection: AsyncConnection | None = None

    async def take(self) -> bool:
        """Connect, and try to have the lock."""
        connection = await self._engine.connect()
        try:
            async with connection.begin():
                for setting in _KEEPALIVES:
                    await connection.execute(text(f"SET {setting}"))
                # Held by the session, beyond this transaction.
                asked = text(f"SELECT pg_try_advisory_lock({_KEY})")
                got = bool((await connection.execute(asked)).scalar())
        except BaseException:
            await _drop(connection)
            raise
        if got:
            self._connection = connection
        else:
            await _drop(connection)
        return got

    def sign(self, connection: Connection) -> None:
        """Write our name down as the last owner's."""
        connection.execute(OWNER.delete())
        connection.execute(OWNER.insert().values(name=self._name))

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work over the connection that holds the lock; see `Ownership`."""
        async with self._begin() as connection:
            return await connection.run_sync(work)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        if self.lost.is_set():
            raise _lost()
        if self._connection is None:
            await self._take_again()
        connection = self._connection
        assert connection is not None  # noqa: S101 - it was taken
        try:
            async with connection.begin():
                yield connection
        except DBAPIError as error:
            if error.connection_invalidated:
                await self.close()
            raise
        except BaseException:  # whatever the connection was at, it may be at still
            await self.close()
            raise

    async def close(self) -> None:
        """End the connection, and with it the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _drop(connection)

    async def _take_again(self) -> None:
        """Have the lock again after the connection was lost, if nobody else had it since."""
        taken = await self.take()
        if await self._last_owner() == self._name:
            if not taken:  # the server still thinks that our old connection lives
                raise StoreUnavailable("The job store's lock is not free yet; try again later.")
            return
        await self.close()
        get_logger().error("ownership_lost")
        self.lost.set()
        raise _lost()

    async def _last_owner(self) -> str | None:
        async with self._engine.connect() as connection:
            name: str | None = (await connection.execute(OWNER.select())).scalar()
        return name


async def _drop(connection: AsyncConnection) -> None:
    """End a connection for good: one that is given back to the pool would keep its lock."""
    with suppress(SQLAlchemyError, OSError, TimeoutError):
        await connection.invalidate()
    with suppress(SQLAlchemyError, OSError, TimeoutError):
        await connection.close()


def _lost() -> ShuttingDown:
    return ShuttingDown("Another coordinator has taken the job store over; this one ends.")
