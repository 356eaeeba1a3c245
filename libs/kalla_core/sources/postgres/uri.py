"""Postgres URIs: which server, which table, and what is Kalla's own in the query.

    postgres://user:${env:PGPASS}@host:5432/database?table=sales.invoices&sslmode=verify-full
    postgresql:///database?host=/var/run/postgresql&table="Odd Name"

`table` names a table or view as SQL does: `name`, `schema.name`, either part in double quotes if
it has a dot or a quote in it. A name is looked up as it is written, and in lower case if there is
none like that. Other options of Kalla's own are

| option              | meaning                                               | default |
|---------------------|-------------------------------------------------------|---------|
| `read_timeout`      | seconds of silence before asking whether it is there  | 60      |
| `statement_timeout` | seconds after which the server gives up on a query    | 3600    |
| `lock_timeout`      | seconds to wait for whoever changes the table's shape | 30      |
| `max_connections`   | readers of a process at the same time                 | 8       |

Of libpq's options those are taken that say where to connect, as whom and how safely; none that
lets libpq write a file, load a library or call somebody else. The defaults of what is missing are
libpq's (`~/.pgpass`, `PGPASSWORD`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from kalla_core.errors import InvalidUri
from kalla_core.recipe.nearest import nearest
from kalla_core.sources.doors import check_reachable
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.uri import mask

_URI = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?P<server>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
_REFERENCE = re.compile(r"\$\{env:\w+\}")
_OPTION = re.compile(r"([A-Za-z_]+)=(.*)", re.DOTALL)
_NAME = r'(?:"((?:[^"]|"")+)"|([^".]+))'
_TABLE = re.compile(rf"(?:{_NAME}\.)?{_NAME}")
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "passfile", "servicefile")

_LIBPQ = frozenset(
    (
        *_FILES,
        *("host", "hostaddr", "port", "user", "password", "dbname", "service", "options"),
        *("application_name", "fallback_application_name", "client_encoding", "connect_timeout"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "target_session_attrs", "load_balance_hosts", "require_auth"),
        *("ssl", "sslmode", "sslnegotiation", "sslcompression", "sslsni", "sslpassword"),
        *("sslcertmode", "ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("channel_binding", "requirepeer", "gssencmode", "krbsrvname"),
    )
)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")

_OWN = {"read_timeout": 60, "statement_timeout": 3600, "lock_timeout": 30, "max_connections": 8}
_MOST = 10**6
_ADDRESSES = 2
"""A host may have one of either kind, and libpq waits for each."""

# A server that is not there is found out in seconds, one that went away within a minute or two.
_LIBPQ_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "kalla",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


@dataclass(frozen=True, slots=True)
class TableName:
    """A table as a URI names it.

    Attributes:
        schema: spellings of the schema, best first; empty for any schema of the search path.
        name: spellings of the name, best first.
    """

    schema: tuple[str, ...]
    name: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join([*self.schema[:1], self.name[0]])


@dataclass(frozen=True, slots=True)
class PostgresUri:
    """A Postgres URI, taken apart.

    Attributes:
        connection: the URI for libpq, its secrets still references.
        host: the servers it may lead to, for errors.
        connect_timeout_s: how long libpq may take until it is connected, or has given up.
        read_timeout_s: nothing may come for so long before the server is asked if it is there.
    """

    connection: str
    table: TableName
    host: str
    connect_timeout_s: int
    read_timeout_s: int
    statement_timeout_s: int
    lock_timeout_s: int
    max_connections: int


def parse_postgres_uri(uri: str, access: SourceAccess) -> PostgresUri:
    """Take a URI apart.

    Raises:
        InvalidUri: it is malformed, names no table, or names a file outside the allowed roots.
    """
    found = _taken_apart(uri)
    options = _options(found["query"] or "", uri)
    for name in _FILES:
        if name in options and options[name] not in ("", "system"):
            _check_file(unquote(options[name]), access)
    own = {name: _number(name, options.pop(name, None), uri) for name in _OWN}
    table = _table(options.pop("table", ""), uri)
    for name in options:
        if name not in _LIBPQ:
            raise _invalid(uri, _unknown(name))
    merged = {**_LIBPQ_DEFAULTS, **options}
    query = "&".join(f"{name}={value}" for name, value in merged.items())
    hosts = hosts_of(uri)
    return PostgresUri(
        connection=f"postgresql://{found['server']}{found['path'] or ''}?{query}",
        table=table,
        host=_shown(hosts),
        connect_timeout_s=_ADDRESSES * len(hosts) * _seconds(merged["connect_timeout"]),
        read_timeout_s=own["read_timeout"],
        statement_timeout_s=own["statement_timeout"],
        lock_timeout_s=own["lock_timeout"],
        max_connections=own["max_connections"],
    )


def hosts_of(uri: str) -> frozenset[str]:
    """Return every host that a URI may lead to, as libpq and other drivers read it.

    It has more than one place for them, each may hold a list, and which of them wins depends on
    the driver, so all of them count. Host names are in lower case. An empty name is the default of
    the driver, such as a local socket; what a service file would add is `service=NAME`.

    Raises:
        InvalidUri: it is malformed.
    """
    found = _taken_apart(uri)
    options = _options(found["query"] or "", uri)
    hosts = [_host(one) for one in _server_hosts(found["server"])]
    for name in ("host", "hostaddr"):
        hosts += unquote(options.get(name, "")).split(",") if name in options else ()
    named = {host if host.startswith("/") else host.lower() for host in hosts}
    if "service" in options:
        named.add(f"service={unquote(options['service'])}")
    return frozenset(named or {""})


def _shown(hosts: Collection[str]) -> str:
    return " or ".join(f"`{host}`" if host else "the local server" for host in sorted(hosts))


def _seconds(text: str) -> int:
    """Return a number that libpq takes; it is libpq's to say if it is none."""
    return int(text) if text.isascii() and text.isdigit() else 0


def _taken_apart(uri: str) -> re.Match[str]:
    found = _URI.fullmatch(uri)
    if found is None or "@" in (found["path"] or ""):
        raise _invalid(
            uri,
            "it is not of the form postgres://user:password@host:port/database?table=name; a"
            " character of the user or the password that has a meaning in URIs (: / ? # [ ] @ %)"
            " is percent-encoded",
        )
    _check_escapes(found["server"], found["path"] or "", uri)
    _check_server(found["server"], uri)
    return found


def _check_escapes(server: str, path: str, uri: str) -> None:
    """Find what libpq would complain about by quoting the whole URI."""
    if _BROKEN_ESCAPE.search(uri):
        raise _invalid(uri, "a % that does not begin an escape like %40 is itself written %25")
    if _BLANK.search(server) or _BLANK.search(path):
        raise _invalid(uri, "it holds a blank or a line break, which is written %20 or %0A")


def _server_hosts(server: str) -> list[str]:
    hosts = server.rpartition("@")[2]
    return unquote(hosts).split(",") if hosts else []


def _host(text: str) -> str:
    """Return `host:port` without the port, `[address]:port` without the brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text if text.startswith("/") else text.partition(":")[0]


def _check_server(server: str, uri: str) -> None:
    """Find faults here that libpq would tell by quoting a piece of the password."""
    user, _, hosts = _REFERENCE.sub("x", server).rpartition("@")
    if "@" in user or user.count(":") > 1:
        raise _invalid(
            uri, "the user and the password are percent-encoded: %40 for @, %3A for a colon"
        )
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise _invalid(uri, "after the last @ comes host:port, and a port is a number")


def _options(query: str, uri: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for piece in query.split("&") if query else ():
        found = _OPTION.fullmatch(piece)
        if found is None:
            raise _invalid(uri, "its query is not of the form name=value&name=value")
        if found[1] in options:
            raise _invalid(uri, f"it gives `{found[1]}` more than once")
        options[found[1]] = found[2]
    return options


def _check_file(name: str, access: SourceAccess) -> None:
    try:
        check_reachable(Path(name).absolute(), access)
    except OSError as error:
        raise InvalidUri(f"`{name}` cannot be read: {error.strerror}.", path=name) from None


def _unknown(name: str) -> str:
    close = nearest(name, sorted({*_LIBPQ, *_OWN, "table"}))
    hint = f"did you mean `{close[0]}`" if close else "it is none that a source may set"
    return f"of the option `{name}`, {hint}"


def _number(name: str, value: str | None, uri: str) -> int:
    if value is None:
        return _OWN[name]
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= _MOST):
        raise _invalid(uri, f"`{name}` is a whole number from 1 to {_MOST}")
    return int(value)


def _table(value: str, uri: str) -> TableName:
    if not value:
        raise _invalid(uri, "it names no table: add ?table=name or ?table=schema.name")
    found = _TABLE.fullmatch(unquote(value))
    if found is None:
        raise _invalid(
            uri,
            "a table is `name` or `schema.name`; a part with a dot or a quote in it is put in"
            ' double quotes, as "odd.name"',
        )
    return TableName(_spellings(found[1], found[2]), _spellings(found[3], found[4]))


def _spellings(quoted: str | None, plain: str | None) -> tuple[str, ...]:
    if quoted is not None:
        return (quoted.replace('""', '"'),)
    return () if plain is None else tuple(dict.fromkeys((plain, plain.lower())))


def _invalid(uri: str, why: str) -> InvalidUri:
    return InvalidUri(f"`{mask(uri)}` cannot be used: {why}.", uri=mask(uri))
