"""A connection to a server: queries in, Arrow out.

Everything goes through ADBC, catalogue and snapshots included, so that there is one driver and
one way in which TLS parameters, passwords and Unix sockets are understood: libpq's. What the
driver learns of a database (its types) is kept per process; a further connection takes 3 ms.
Whatever waits for the server does so as `silence` tells.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from typing import Any

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement, Error

# The reader that turns errors in the middle of a stream into ADBC's own, as its DBAPI uses it.
from adbc_driver_manager._reader import AdbcRecordBatchReader

from kalla_core.errors import KallaError, SourceUnavailable
from kalla_core.sources.postgres.faults import driver_errors
from kalla_core.sources.postgres.quoting import literal
from kalla_core.sources.postgres.silence import Patience, Waiter
from kalla_core.sources.postgres.uri import PostgresUri
from kalla_core.sources.uri import expand_secrets

BATCH_BYTES = 4 << 20
"""A batch of the driver is about this large, so that a reader holds a few megabytes."""

_TURN_S = 300
_COPY = adbc_driver_postgresql.StatementOptions.USE_COPY.value
_HINT = adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value

# So that text is spelled the same for everybody, rows come in the order they lie in, nothing ends
# a transaction that waits for a reader, the server notices a client that died, and it refuses what
# policies would hide rows of instead of leaving them out.
_SETTINGS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "client_connection_check_interval": "2s",
    "client_encoding": "UTF8",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "row_security": "off",
    "synchronize_seqscans": "off",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "transaction_timeout": "0",
}
_NOTICES_DEAD_CLIENTS = "linux|darwin|freebsd"


class Session:
    """One connection, for one thread at a time; a statement is running or there is none."""

    def __init__(self, connection: AdbcConnection, waiter: Waiter) -> None:
        self._connection = connection
        self._waiter = waiter

    def run(self, sql: str) -> None:
        """Carry out a statement that brings no rows."""
        self._fetched(sql, copy=False)

    def rows(self, sql: str, *, copy: bool = True) -> list[dict[str, Any]]:
        """Return the rows of a small query; `copy` False for what is not a SELECT."""
        return self._fetched(sql, copy=copy)

    def row(self, sql: str) -> dict[str, Any]:
        """Return the only row of a query."""
        (found,) = self.rows(sql)
        return found

    def stream(self, sql: str) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows of a query as they come; giving up early cancels it on the server."""
        with driver_errors(), self._executing(sql, {_HINT: str(BATCH_BYTES)}) as reader:
            while (batch := self._waiter.wait(partial(_next, reader), "rows")) is not None:
                yield batch

    def close(self) -> None:
        """End the connection, and with it its transaction; never fails."""
        self._waiter.part(self._connection.close)

    def _fetched(self, sql: str, *, copy: bool) -> list[dict[str, Any]]:
        with driver_errors(), self._executing(sql, {} if copy else {_COPY: "false"}) as reader:
            found = self._waiter.wait(reader.read_all, "the answer to a query")
            rows: list[dict[str, Any]] = found.to_pylist()
            return rows

    @contextmanager
    def _executing(self, sql: str, options: Mapping[str, str]) -> Iterator[AdbcRecordBatchReader]:
        statement = AdbcStatement(self._connection)
        reader = None
        finished = False
        try:
            statement.set_options(**options)
            statement.set_sql_query(sql)
            reader = self._waiter.wait(partial(_reader, statement), "the answer to a query")
            yield reader
            finished = True
        finally:
            self._waiter.part(partial(_end, statement, reader, finished=finished))


@contextmanager
def session(uri: PostgresUri) -> Iterator[Session]:
    """Connect, with the settings that reading needs, and close at the end.

    Raises:
        InvalidUri, SourceNotFound, SourceUnreadable, SourceUnavailable: as `faults` tells.
    """
    connection = expand_secrets(uri.connection)
    waiter = Waiter(_patience(uri, connection))
    try:
        with driver_errors():
            opened = Session(_connected(uri, connection), waiter)
        try:
            opened.rows(_settings_query(uri))
            yield opened
        finally:
            opened.close()
    finally:
        waiter.end()


@contextmanager
def reading_session(uri: PostgresUri) -> Iterator[Session]:
    """Like `session`, once fewer than `max_connections` others of this process read there.

    Raises:
        SourceUnavailable: also when no reader ended in five minutes.
    """
    turns = _turns(uri.connection, uri.max_connections)
    if not turns.acquire(timeout=_TURN_S):
        raise SourceUnavailable(
            f"{uri.max_connections} connections of this process are busy reading, and none came"
            f" free within {_TURN_S} s; `max_connections=NUMBER` in the URI allows more."
        )
    try:
        with session(uri) as opened:
            yield opened
    finally:
        turns.release()


def _patience(uri: PostgresUri, connection: str) -> Patience:
    return Patience(
        host=uri.host,
        quiet_s=uri.read_timeout_s,
        longest_s=uri.statement_timeout_s + uri.read_timeout_s,
        silent=lambda: _silent(uri, connection),
    )


def _silent(uri: PostgresUri, connection: str) -> str | None:
    """Ask a server whether it is there, by connecting to it; return how it failed, if it did."""
    try:
        with driver_errors():
            again = _connected(uri, connection)
    except SourceUnavailable as error:
        # One that has no room for another connection says so, and is there.
        return None if "FATAL" in error.message else f"connecting anew failed as well ({error})"
    except KallaError:
        return None
    with suppress(Error):
        again.close()
    return None


def _connected(uri: PostgresUri, connection: str) -> AdbcConnection:
    """Connect; what the driver asks for then is bounded as a whole, since it is always brief.

    Raises:
        SourceUnavailable: the server takes connections, and then says nothing.
    """
    longest_s = uri.connect_timeout_s + uri.read_timeout_s
    why = "that it took the connection is all"
    waiter = Waiter(Patience(uri.host, longest_s, longest_s, lambda: why))
    try:
        return waiter.wait(
            lambda: AdbcConnection(_database(connection)), "the first answer over a connection"
        )
    finally:
        waiter.end()


def _reader(statement: AdbcStatement) -> AdbcRecordBatchReader:
    handle, _ = statement.execute_query()
    return AdbcRecordBatchReader._import_from_c(handle.address)


def _end(statement: AdbcStatement, reader: AdbcRecordBatchReader | None, *, finished: bool) -> None:
    if not finished:
        with suppress(Error):
            statement.cancel()
    if reader is not None:
        reader.close()
    with suppress(Error):
        statement.close()


def _next(reader: AdbcRecordBatchReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _settings_query(uri: PostgresUri) -> str:
    settings = {
        **_SETTINGS,
        "statement_timeout": f"{uri.statement_timeout_s}s",
        "lock_timeout": f"{uri.lock_timeout_s}s",
    }
    values = ", ".join(f"({literal(name)}, {literal(value)})" for name, value in settings.items())
    return (
        "SELECT set_config(s.name, v.value, false)"
        f" FROM pg_catalog.pg_settings s JOIN (VALUES {values}) v(name, value) ON s.name = v.name"
        " WHERE s.name <> 'client_connection_check_interval'"
        f" OR version() ~ '{_NOTICES_DEAD_CLIENTS}'"
    )


@lru_cache(maxsize=32)
def _database(uri: str) -> AdbcDatabase:
    database: AdbcDatabase = adbc_driver_postgresql.connect(uri)
    return database


@lru_cache(maxsize=32)
def _turns(connection: str, most: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(most)
