"""A real MariaDB server for tests: one per process of the test run, a database per test."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from getpass import getuser
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.sources.mysql.quoting import literal, quoted
from tests.support.real_cluster import until

USER, PASSWORD = "kalla", "p;w}d@ü"
_NEEDED = ("mariadbd", "mariadb-install-db", "mariadb")
_NUMBERS = itertools.count()
_TYPES = {
    pa.int64(): "bigint",
    pa.string(): "varchar(200)",
    pa.date32(): "date",
    pa.timestamp("us"): "datetime(6)",
    pa.bool_(): "boolean",
}


def missing() -> str:
    """Return what is not installed of what these tests need; empty if all is."""
    programs = [name for name in _NEEDED if shutil.which(name) is None]
    drivers = Path(os.environ.get("ODBCSYSINI", "/etc"), "odbcinst.ini")
    if programs or not drivers.exists() or "mariadb" not in drivers.read_text().lower():
        return "mariadb-server and odbc-mariadb are not installed"
    return ""


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    folder: Path
    port: int

    def run(self, *statements: str, database: str = "") -> str:
        """Carry out statements as root, and return what they print."""
        command = ["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-N", "-B"]
        command += ["--user=root", f"--socket={self.folder / 's'}", database]
        text = ";\n".join(statements)
        done = subprocess.run(
            [one for one in command if one], input=text, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@cache
def shared_server() -> Server:
    """The server of this process, started when it is first wanted; it ends with the process."""
    folder = Path(tempfile.mkdtemp(prefix="kalla-maria-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    install = [
        "mariadb-install-db",
        "--no-defaults",
        f"--user={getuser()}",
        f"--datadir={folder / 'data'}",
    ]
    install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "log").open("wb")
    command = [
        "mariadbd",
        "--no-defaults",
        f"--user={getuser()}",
        f"--datadir={folder / 'data'}",
        f"--port={port}",
    ]
    command += [f"--socket={folder / 's'}", "--bind-address=127.0.0.1", "--skip-name-resolve"]
    command += ["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"]
    command += ["--character-set-server=latin1", f"--pid-file={folder / 'pid'}"]
    process = subprocess.Popen(command, stdout=log, stderr=log)

    def end() -> None:
        process.kill()
        process.wait()
        log.close()

    atexit.register(end)
    server = Server(folder, port)
    ping = ["mariadb-admin", "--no-defaults", "--user=root", f"--socket={folder / 's'}", "ping"]
    assert until(lambda: not subprocess.run(ping, capture_output=True, check=False).returncode, 60)
    server.run(
        f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT ALL ON *.* TO '{USER}'@'%'",
    )
    return server


@dataclass(frozen=True)
class Database:
    """A database of the shared server."""

    server: Server
    name: str

    def run(self, *statements: str) -> str:
        """Carry out statements, and return what they print."""
        return self.server.run(*statements, database=self.name)

    def uri(self, table: str = "ledger", **options: str) -> str:
        """Return the URI of a table."""
        query = "&".join(f"{name}={quote(value)}" for name, value in options.items())
        password = quote(PASSWORD, safe="")
        return (
            f"mysql://{USER}:{password}@127.0.0.1:{self.server.port}/{self.name}?table={table}"
            f"{'&' if query else ''}{query}"
        )

    def spec(self, table: str = "ledger", **fields: object) -> SourceSpec:
        """Return the spec that reads a table."""
        return SourceSpec("ledger", SourceType.MYSQL, self.uri(table), **fields)  # type: ignore[arg-type]

    def put(self, table: pa.Table, key: str = "") -> None:
        """Make a table `ledger`."""
        columns = [f"{quoted(one.name)} {_sql_type(one.type)}" for one in table.schema]
        if key:
            columns.append(f"PRIMARY KEY ({key})")
        rows = [f"({', '.join(map(_value, row.values()))})" for row in table.to_pylist()]
        self.run(
            f"CREATE TABLE ledger ({', '.join(columns)}) CHARACTER SET utf8mb4",
            *([f"INSERT INTO ledger VALUES {', '.join(rows)}"] if rows else []),
        )


def new_database() -> Database:
    """Make an empty database."""
    server = shared_server()
    name = f"test_{next(_NUMBERS)}"
    server.run(f"CREATE DATABASE {name}")
    return Database(server, name)


def database_of(spec: SourceSpec) -> Database:
    """Return the database of a spec that `Database.spec` made."""
    return Database(shared_server(), (spec.uri or "").rpartition("/")[2].partition("?")[0])


def _sql_type(found: pa.DataType) -> str:
    if pa.types.is_decimal(found):
        return f"decimal({found.precision},{found.scale})"
    return _TYPES[found]


def _value(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    return literal(str(value)) if isinstance(value, str) else f"'{value}'"
