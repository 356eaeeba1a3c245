"""Where the job store lies: an engine for SQLite below the staging path, or for PostgreSQL."""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kalla_coordinator.jobs.allowed import LOCK, STORE
from kalla_coordinator.jobs.ownership import DatabaseOwnership, FileOwnership, Ownership
from kalla_coordinator.jobs.schema import POSTGRES_SCHEMA
from kalla_coordinator.jobs.store_files import StoreFiles
from kalla_core.database import postgres_engine
from kalla_core.observe.logs import get_logger

_BUSY_MS = 5_000
_MISSING = "kalla_missing_file"
_CONNECTIONS = 6  # one is the owner's, one looks whether it still is
_KEPT = "jobs are kept in SQLite"


def open_engine(database_url: str | None, staging: Path) -> tuple[AsyncEngine, Ownership]:
    """Return an engine, and how its store is owned; nothing is connected or owned yet.

    Args:
        database_url: of PostgreSQL; None for SQLite.
        staging: existing folder.

    Raises:
        InvalidSetting: the URL is none of PostgreSQL.
        StoreUnavailable: what lies in the place of the SQLite file is no such file.
    """
    if database_url is None:
        reading, writing = _sqlite(staging / STORE)
        return reading, FileOwnership(writing, staging / LOCK)
    engine = postgres_engine(database_url, POSTGRES_SCHEMA, _CONNECTIONS, _KEPT)
    return engine, DatabaseOwnership(engine)


def _sqlite(path: Path) -> tuple[AsyncEngine, Engine]:
    """Return an engine to read with from the event loop, and one to write with from a thread."""
    files = StoreFiles(path)
    reading = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)), pool_size=4, max_overflow=0
    )
    writing = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)), pool_size=1, max_overflow=0
    )
    for engine in (reading.sync_engine, writing):
        _watch(engine, files)
    return reading, writing


def _watch(engine: Engine, files: StoreFiles) -> None:
    """Prepare each connection, and look before each transaction whether the files are there."""

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        files.opened()
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            # What is written goes on into the database at once: a log that somebody removes then
            # takes nothing with it, and never grows.
            cursor.execute("PRAGMA wal_autocheckpoint=1")
        # Looked at where statements run: on the event loop a disk that hangs would hold all up.
        connection.create_function(_MISSING, 0, files.missing)

    @event.listens_for(engine.pool, "close")
    def _closed(_connection: Any, _record: Any) -> None:
        files.closed()

    @event.listens_for(engine, "begin")
    def _demand_files(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        with closing(raw.cursor()) as cursor:
            cursor.execute(f"SELECT {_MISSING}()")
            (missing,) = cursor.fetchone()
            if missing is not None:
                # What lies only in a log without a name would be gone with this process.
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                get_logger().error("store_file_replaced", path=missing)
                raise OSError(errno.ESTALE, "the file was removed or replaced", missing)
