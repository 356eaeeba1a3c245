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
from typing import Any, cast

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, CursorResult, Dialect, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kalla_app.store.tables import POSTGRES_SCHEMA, migrate
from kalla_core.database import postgres_engine
from kalla_core.errors import InvalidSetting, KallaError, StoreUnavailable

FILE = "app.sqlite"
_BUSY_MS = 20_000
_CONNECTIONS = 8
_WRITES = "kalla_writes"
_NO_TEXT = "22021"
"""What PostgreSQL says of text with a character that it cannot hold."""


class Database:
    """Asyncio; made by `opened`."""

    def __init__(self, engine: AsyncEngine, reader: Engine | None = None) -> None:
        """Take engines.

        Args:
            reader: of a SQLite file, where reading waits for nobody, and takes less time than
                handing a query to a thread does; None to read as is written.
        """
        self._engine = engine
        self._reader = reader
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read; what is seen does not change within the block.

        Raises:
            InvalidSetting: text that is asked for or written cannot be any text of the database.
            StoreUnavailable: the database does not answer.
        """
        try:
            if self._reader is not None:
                with self._reader.connect() as plain:
                    yield cast("AsyncConnection", _AtOnce(plain))
                return
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise _told(error) from error

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Write; it is on disk when the block has ended, or nothing of it is.

        Raises:
            InvalidSetting: text that is asked for or written cannot be any text of the database.
            StoreUnavailable: the database does not answer.
        """
        try:
            async with self._turn, self._engine.connect() as plain:
                connection = await plain.execution_options(**{_WRITES: True})
                async with connection.begin():
                    yield connection
        except (SQLAlchemyError, OSError) as error:
            raise _told(error) from error


class _AtOnce:
    """What reading needs of an `AsyncConnection`, without a thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    async def execute(self, statement: Any, parameters: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)


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
    reader: Engine | None = None
    if database_url is None:
        engine, reader = _sqlite(folder / FILE)
    else:
        engine = postgres_engine(
            database_url, POSTGRES_SCHEMA, _CONNECTIONS, "the app remembers in SQLite"
        )
    database = Database(engine, reader)
    try:
        async with database.writing() as connection:
            try:
                await migrate(connection)
            except ValueError as error:
                raise StoreUnavailable(f"The app's database cannot be used: {error}.") from error
        yield database
    finally:
        await engine.dispose()
        if reader is not None:
            reader.dispose()


def _sqlite(path: Path) -> tuple[AsyncEngine, Engine]:
    path.touch(mode=0o600)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=_CONNECTIONS,
        max_overflow=0,
    )
    # Nobody may wait for a connection here: it is the event loop that would.
    reader = create_engine(
        URL.create("sqlite", database=str(path)), pool_size=_CONNECTIONS, max_overflow=-1
    )
    for one in (engine.sync_engine, reader):
        _prepare_sqlite(one)
    return engine, reader


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads before it writes must hold off other processes from its start.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _told(error: Exception) -> KallaError:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if str(state) == _NO_TEXT:
        return InvalidSetting("There is a character of the code zero in it, which no text has.")
    return StoreUnavailable(f"The app's database does not answer: {type(error).__name__}.")
