"""MySQL URIs: which server, which table, and how to get there.

    mysql://user:${env:MYPASS}@host:3306/database?table=invoices&sslmode=verify-full

`mariadb://` is the same. `table` names a table or view, `database.table` one of another database of
the server; a part with a dot in it is put into backticks or double quotes. Other options are

| option              | meaning                                                       | default |
|---------------------|---------------------------------------------------------------|---------|
| `sslmode`           | `prefer`, `require` (encrypted), `verify-full` (and checked)  | prefer  |
| `sslrootcert`       | a file with the certificates that are trusted                 |         |
| `socket`            | a Unix socket, in the place of host and port                  |         |
| `connect_timeout`   | seconds until a server that does not answer is given up       | 10      |
| `statement_timeout` | seconds after which a query is given up                       | 3600    |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from kalla_core.errors import InvalidUri
from kalla_core.recipe.nearest import nearest
from kalla_core.sources.doors import check_reachable
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.uri import expand_secrets, mask

_URI = re.compile(
    r"(?:mysql|mariadb)://(?:(?P<user>[^@/?#]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#/]*)?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_NAME = r'(?:`((?:[^`]|``)+)`|"((?:[^"]|"")+)"|([^".`]+))'
_TABLE = re.compile(rf"(?:{_NAME}\.)?{_NAME}")
_MODES = ("prefer", "require", "verify-full")
_TIMES = {"connect_timeout": 10, "statement_timeout": 3600}
_OPTIONS = ("table", "sslmode", "sslrootcert", "socket", *_TIMES)
_PORT = 3306
_MOST_S = 10**6
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


@dataclass(frozen=True, slots=True)
class MysqlUri:
    """A MySQL URI, taken apart.

    Attributes:
        database: where the table is, unless its own name says another.
        attributes: of an ODBC connection, without the driver, the user and the password.
    """

    host: str
    user: str
    password: str
    database: str
    table: str
    attributes: Mapping[str, str]
    connect_timeout_s: int
    statement_timeout_s: int


def parse_mysql_uri(uri: str, access: SourceAccess) -> MysqlUri:
    """Take a URI apart, secrets put in.

    Raises:
        InvalidUri: it is malformed, names no table, or names a file outside the allowed roots.
    """
    found, options = _taken_apart(uri)
    for name in ("sslrootcert", "socket"):
        if name in options:
            _check_file(options[name], access)
    database, table = _table(options.get("table", ""), unquote(found["path"] or "/")[1:], uri)
    mode = options.get("sslmode", "prefer")
    if mode not in _MODES:
        raise _invalid(uri, f"`sslmode` is one of {', '.join(_MODES)}")
    times = {
        name: _seconds(name, options.get(name, str(least)), uri) for name, least in _TIMES.items()
    }
    user, _, password = (found["user"] or "").partition(":")
    attributes = {"DATABASE": database, "CHARSET": "utf8mb4"}
    if "socket" in options:
        attributes["SOCKET"] = options["socket"]
    else:
        port = int(found["port"] or _PORT)
        if not 0 < port < 2**16:
            raise _invalid(uri, "a port is a number from 1 to 65535")
        attributes |= {"SERVER": _host(found["host"]), "PORT": str(port)}
    if mode != "prefer":
        attributes["FORCETLS"] = "1"
    if mode == "verify-full":
        attributes["SSLVERIFY"] = "1"
    if "sslrootcert" in options:
        attributes["SSLCA"] = options["sslrootcert"]
    return MysqlUri(
        host=next(iter(mysql_hosts(uri))),
        user=unquote(expand_secrets(user)),
        password=unquote(expand_secrets(password)),
        database=database,
        table=table,
        attributes=attributes,
        connect_timeout_s=times["connect_timeout"],
        statement_timeout_s=times["statement_timeout"],
    )


def mysql_hosts(uri: str) -> frozenset[str]:
    """Return the host that a URI leads to, in lower case; the path of a socket is one.

    Raises:
        InvalidUri: it is malformed.
    """
    found, options = _taken_apart(uri)
    return frozenset({options.get("socket") or _host(found["host"]).lower()})


def _taken_apart(uri: str) -> tuple[re.Match[str], dict[str, str]]:
    found = _URI.fullmatch(uri)
    if (
        found is None
        or _BROKEN_ESCAPE.search(uri)
        or "@" in (found["query"] or "")
        or (found["user"] or "").count(":") > _colons(found)
    ):
        raise _invalid(
            uri,
            "it is not of the form mysql://user:password@host:port/database?table=name; a"
            " character of the user or the password that has a meaning in URIs (: / ? # [ ] @ %)"
            " is percent-encoded",
        )
    options: dict[str, str] = {}
    for piece in (found["query"] or "").split("&") if found["query"] else ():
        name, sign, value = piece.partition("=")
        if not sign or name in options:
            raise _invalid(uri, "its query is not of the form name=value&name=value, each once")
        if name not in _OPTIONS:
            close = nearest(name, sorted(_OPTIONS))
            hint = f"did you mean `{close[0]}`" if close else f"there are {', '.join(_OPTIONS)}"
            raise _invalid(uri, f"of the option `{name}`, {hint}")
        options[name] = unquote(value)
    if not options.get("socket") and not found["host"]:
        raise _invalid(uri, "it names neither a host nor a socket")
    return found, options


def _colons(found: re.Match[str]) -> int:
    """Return how many colons the user and password may have: one, and one in each reference."""
    return 1 + (found["user"] or "").count("${env:")


def _host(text: str) -> str:
    return text.strip("[]")


def _check_file(name: str, access: SourceAccess) -> None:
    try:
        check_reachable(Path(name).absolute(), access)
    except OSError as error:
        raise InvalidUri(f"`{name}` cannot be read: {error.strerror}.", path=name) from None


def _seconds(name: str, value: str, uri: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= _MOST_S):
        raise _invalid(uri, f"`{name}` is a whole number from 1 to {_MOST_S}")
    return int(value)


def _table(value: str, database: str, uri: str) -> tuple[str, str]:
    if not value:
        raise _invalid(uri, "it names no table: add ?table=name")
    found = _TABLE.fullmatch(value)
    if found is None:
        raise _invalid(
            uri, "a table is `name` or `database.name`; a part with a dot in it is put in quotes"
        )
    above, name = _part(found.groups()[:3]), _part(found.groups()[3:])
    if not (above or database):
        raise _invalid(uri, "it names no database: mysql://host/database?table=name")
    return above or database, name


def _part(spellings: tuple[str | None, ...]) -> str:
    back, double, plain = spellings
    if back is not None:
        return back.replace("``", "`")
    return double.replace('""', '"') if double is not None else plain or ""


def _invalid(uri: str, why: str) -> InvalidUri:
    return InvalidUri(f"`{mask(uri)}` cannot be used: {why}.", uri=mask(uri))
