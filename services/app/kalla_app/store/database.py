"""The app's database: opened, brought up to date, and its transactions.

async with database.writing() as connection:     # one at a time, all or nothing
await sources.put(connection, ...)
await audit.add(connection, ...)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kalla_app.store.tables import POSTGRES_SCHEMA, migrate
from kalla_core.database import postgres_engine
from kalla_core.errors import StoreUnavailable

FILE = "app.sqlite"
_BUSY_MS = 20_000
_CONNECTIONS = 8
_WRITES = "kalla_writes"


class Database:
    """Asyncio; made by `opened`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read; what is seen does not change within the block.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise _unavailable(error) from error

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Write; it is on disk when the block has ended, or nothing of it is.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        try:
            async with self._turn, self._engine.connect() as plain:
                connection = await plain.execution_options(**{_WRITES: True})
                async with connection.begin():
                    yield connection
        except (SQLAlchemyError, OSError) as error:
            raise _unavailable(error) from error


@asynccontextmanager
async def opened(database_url: str | None, folder: Path) -> AsyncIterator[Database]:
    """Open the database, its tables brought to this version; several processes may.

    Args:
        database_url: of PostgreSQL; None for SQLite.
        folder: existing, for the SQLite file.

    Raises:
        InvalidSetting: the URL is none of PostgreSQL.
        StoreUnavailable: the database does not answer, or is of a newer Kalla.
    """
    engine = (
        _sqlite(folder / FILE)
        if database_url is None
        else postgres_engine(
            database_url, POSTGRES_SCHEMA, _CONNECTIONS, "the app remembers in SQLite"
        )
    )
    database = Database(engine)
    try:
        async with database.writing() as connection:
            try:
                await migrate(connection)
            except ValueError as error:
                raise StoreUnavailable(f"The app's database cannot be used: {error}.") from error
        yield database
    finally:
        await engine.dispose()


def _sqlite(path: Path) -> AsyncEngine:
    path.touch(mode=0o600)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=_CONNECTIONS,
        max_overflow=0,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads before it writes must hold off other processes from its start.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"The app's database does not answer: {type(error).__name__}.")
