"""A connection to a server, and what goes wrong on it as Kalla's errors."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pyarrow as pa

from kalla_core.errors import (
    ConnectorMissing,
    KallaError,
    SourceNotFound,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.sources.mysql.uri import MysqlUri

_BATCH_BYTES = 16 << 20
_DRIVERS = re.compile("mariadb|mysql", re.IGNORECASE)
_USUAL_DRIVER = "MariaDB Unicode"
_NATIVE = re.compile(r"Native error: (\d+), Message: (?:\[[^\]]*\])*(.*)", re.DOTALL)
_NO_DRIVER = ("Can't open lib", "Data source name not found")
_NOT_FOUND = (1049, 1146, 1051)
_REFUSED = (1044, 1045, 1142, 1143, 1227, 1698)
_AWAY = (1040, 1053, 1159, 1205, 1213, 2002, 2003, 2005, 2006, 2013, 3024, 1969)
_SETTINGS = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION sql_mode = ''",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)


class Session:
    """A connection within one consistent snapshot."""

    def __init__(self, connection: Any, uri: MysqlUri, odbc: ModuleType) -> None:
        self._connection = connection
        self._uri = uri
        self._odbc = odbc

    def stream(self, query: str, rows: int, largest: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query, at most so many a batch.

        Args:
            largest: how many bytes the longest text or bytes have.
        """
        with _errors(self._uri, self._odbc):
            reader = self._connection.read_arrow_batches(
                query,
                batch_size=rows,
                max_bytes_per_batch=max(_BATCH_BYTES, 8 * largest),
                max_text_size=largest or None,
                max_binary_size=largest or None,
                fetch_concurrently=False,
                query_timeout_sec=self._uri.statement_timeout_s,
                payload_text_encoding=self._odbc.TextEncoding.UTF16,  # whatever the locale
            )
            yield from reader

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query that has few, names in lower case."""
        return [
            {name.lower(): value for name, value in row.items()}
            for batch in self.stream(query, 1000, 4096)
            for row in batch.to_pylist()
        ]


@contextmanager
def session(uri: MysqlUri) -> Iterator[Session]:
    """Connect, and hold one snapshot until the end.

    Raises:
        ConnectorMissing: the extra or the driver is not installed.
        KallaError: as the server says.
    """
    odbc = _odbc()
    attributes = {"Driver": _driver(), **uri.attributes}
    text = "".join(f"{name}={_braced(value)};" for name, value in attributes.items())
    with _errors(uri, odbc):
        connection = odbc.connect(
            text,
            user=uri.user,
            password=uri.password,
            login_timeout_sec=uri.connect_timeout_s,
        )
        for statement in _SETTINGS:
            connection.execute(statement)
    yield Session(connection, uri, odbc)


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"


@contextmanager
def _errors(uri: MysqlUri, odbc: ModuleType) -> Iterator[None]:
    try:
        yield
    except odbc.Error as error:
        raise _named(str(error), uri) from None  # what was sent to the driver has the password


def _named(said: str, uri: MysqlUri) -> KallaError:
    if any(words in said for words in _NO_DRIVER):
        return ConnectorMissing(
            "Tables of MySQL are read by an ODBC driver, and none is there: install MariaDB's"
            " (odbc-mariadb on Debian) or MySQL's.",
            kind="mysql",
        )
    found = _NATIVE.search(said)
    code, text = (int(found[1]), found[2]) if found else (0, said)
    text = " ".join(text.split()).rstrip(".")
    if code in _NOT_FOUND:
        return SourceNotFound(f"It is not there: {text}.")
    if code in _REFUSED:
        return SourceUnreadable(f"The server at `{uri.host}` does not let it be read: {text}.")
    if code in _AWAY:
        return SourceUnavailable(
            f"The server at `{uri.host}` cannot be reached, or failed: {text}."
        )
    return SourceUnreadable(f"The server could not read it: {text}.")


def _odbc() -> ModuleType:
    try:
        import arrow_odbc as odbc
    except ImportError:
        raise ConnectorMissing(
            "Tables of MySQL and MariaDB are read through arrow-odbc, which is not installed; the"
            " extra `mysql` of Kalla brings it: pip install 'kalla[mysql]'.",
            kind="mysql",
        ) from None
    return cast("ModuleType", odbc)


def _driver() -> str:
    """Return the name of the first driver for MySQL or MariaDB that this machine has."""
    folder = Path(os.environ.get("ODBCSYSINI", "/etc"))
    drivers = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        drivers.read(folder / "odbcinst.ini", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return _USUAL_DRIVER
    return next(filter(_DRIVERS.search, drivers.sections()), _USUAL_DRIVER)
