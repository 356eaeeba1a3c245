"""Where the job store lies: an engine for SQLite below the staging path, or for PostgreSQL."""

from __future__ import annotations

import errno
import re
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kalla_coordinator.jobs.allowed import LOCK, STORE
from kalla_coordinator.jobs.ownership import DatabaseOwnership, FileOwnership, Ownership
from kalla_coordinator.jobs.schema import POSTGRES_SCHEMA
from kalla_coordinator.jobs.store_files import StoreFiles
from kalla_core.errors import InvalidSetting
from kalla_core.observe.logs import get_logger

_BUSY_MS = 5_000
_PATIENCE_S = 10
_MISSING = "kalla_missing_file"
_OPTIONS = frozenset({"application_name", "host", "port", "sslmode"})


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
        engine = _sqlite(staging / STORE)
        return engine, FileOwnership(engine, staging / LOCK)
    engine = _postgres(database_url)
    return engine, DatabaseOwnership(engine)


def _sqlite(path: Path) -> AsyncEngine:
    files = StoreFiles(path)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)), pool_size=4, max_overflow=0
    )

    @event.listens_for(engine.sync_engine, "connect")
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

    @event.listens_for(engine.sync_engine.pool, "close")
    def _closed(_connection: Any, _record: Any) -> None:
        files.closed()

    @event.listens_for(engine.sync_engine, "begin")
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

    return engine


def _postgres(database_url: str) -> AsyncEngine:
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+asyncpg://", database_url))
    except (ArgumentError, ValueError) as error:
        raise _no_url() from error
    if url.drivername != "postgresql+asyncpg":
        raise _no_url()
    unknown = sorted(set(url.query) - _OPTIONS)
    if unknown:
        raise _no_url(f" It has {', '.join(unknown)}; options are {', '.join(sorted(_OPTIONS))}.")
    query = dict(url.query)
    connect: dict[str, Any] = {"timeout": _PATIENCE_S, "command_timeout": _PATIENCE_S}
    if (mode := query.pop("sslmode", None)) is not None:  # libpq's word for it
        connect["ssl"] = mode
    if (name := query.pop("application_name", None)) is not None:
        connect["server_settings"] = {"application_name": name}
    url = url.set(query=query)
    _check_addresses(url)
    engine = create_async_engine(
        url,
        pool_size=6,  # one is the owner's, one looks whether it still is
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=_PATIENCE_S,
        connect_args=connect,
    )
    return engine.execution_options(schema_translate_map={None: POSTGRES_SCHEMA})


def _check_addresses(url: URL) -> None:
    """Refuse hosts and ports that the driver would only stumble over as it connects."""
    try:
        _, options = url.get_dialect()().create_connect_args(url)
        ports = options.get("port") or []
        for port in ports if isinstance(ports, list) else [ports]:
            if not 0 < int(port) < 1 << 16:
                raise _no_url(f" There is no port {port}.")
    except (ArgumentError, ValueError) as error:
        raise _no_url() from error


def _no_url(why: str = "") -> InvalidSetting:
    return InvalidSetting(
        "DATABASE_URL must be the address of a PostgreSQL database, like "
        f"postgres://user:password@host/name; without it, jobs are kept in SQLite.{why}",
        settings=["DATABASE_URL"],
    )
