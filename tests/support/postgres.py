"""A real PostgreSQL server for tests: one per process of the test run, a database per test."""

import atexit
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from kalla_core.cli.embedded_postgres import EmbeddedServer, embedded_server
from kalla_core.recipe.model import SourceSpec, SourceType

_SETTINGS = {"shared_buffers": "32MB", "autovacuum": "off", "max_connections": "60"}
_NUMBERS = itertools.count()

SPARSE = "WITH (fillfactor = 10)"
"""Few rows on a page, so that some hundred rows can be cut into many parts."""

_TYPES = {
    pa.int64(): "bigint",
    pa.int32(): "integer",
    pa.string(): "text",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp",
    pa.bool_(): "boolean",
    pa.float64(): "double precision",
}


@contextmanager
def fresh_server(*, tcp: bool = False, **settings: str) -> Iterator[EmbeddedServer]:
    """A server of one's own, that ends with the block."""
    with embedded_server({**_SETTINGS, **settings}, tcp=tcp) as server:
        yield server


@cache
def shared_server() -> EmbeddedServer:
    """The server of this process, started when it is first wanted; it ends with the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(fresh_server(tcp=True))


class Database:
    """A database of a running server, and what tests do in it beside Kalla."""

    def __init__(self, server: EmbeddedServer, name: str) -> None:
        self.server = server
        self.name = name

    def uri(self, table: str, **options: str) -> str:
        """Return the URI of a table."""
        return self.server.uri(self.name, **options, table=table)

    def spec(self, table: str = "ledger", alias: str = "ledger", **fields: Any) -> SourceSpec:
        """Return the spec that reads a table."""
        return SourceSpec(alias, SourceType.POSTGRES, self.uri(table), **fields)

    @contextmanager
    def connection(self) -> Iterator[adbc.Connection]:
        """Connect, each statement its own transaction."""
        connection = adbc.connect(self.server.uri(self.name), autocommit=True)
        try:
            yield connection
        finally:
            connection.close()

    def run(self, *statements: str) -> None:
        """Carry out statements."""
        with self.connection() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def value(self, query: str) -> Any:
        """Return the only value of a query."""
        ((value,),) = self.rows(query)
        return value

    def put(self, name: str, table: pa.Table, options: str = "") -> None:
        """Make a table."""
        columns = ", ".join(f'"{field.name}" {sql_type(field.type)}' for field in table.schema)
        self.run(f"CREATE TABLE {name} ({columns}) {options}")
        self.fill(name, table)

    def fill(self, name: str, table: pa.Table) -> None:
        """Add rows to a table."""
        self.run(f"INSERT INTO {name} VALUES {_values(table)}" if table.num_rows else "SELECT 1")

    def end_others(self) -> None:
        """End all connections of Kalla to this database."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'kalla'"
        )


def new_database(server: EmbeddedServer | None = None) -> Database:
    """Make an empty database, on the shared server unless another is given."""
    server = server or shared_server()
    name = f"test_{next(_NUMBERS)}"
    Database(server, "postgres").run(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY wal_log")
    return Database(server, name)


def database_of(spec: SourceSpec) -> Database:
    """Return the database of a spec that `Database.spec` made."""
    name = (spec.uri or "").partition("@/")[2].partition("?")[0]
    return Database(shared_server(), name)


def sql_type(kind: pa.DataType) -> str:
    """Return the Postgres type of an Arrow type."""
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return _TYPES[kind]


def sql_value(value: object) -> str:
    """Return a Python value as a literal of no type."""
    if value is None:
        return "NULL"
    return "'" + str(value).replace("'", "''") + "'"


def _values(table: pa.Table) -> str:
    rows: Sequence[dict[str, Any]] = table.to_pylist()
    return ", ".join(f"({', '.join(sql_value(v) for v in row.values())})" for row in rows)
