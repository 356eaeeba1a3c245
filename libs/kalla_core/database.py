"""PostgreSQL as the store of a service: an engine of SQLAlchemy for its address."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kalla_core.errors import InvalidSetting

_PATIENCE_S = 10
_OPTIONS = frozenset({"application_name", "host", "port", "sslmode"})


def postgres_engine(
    database_url: str, schema: str, connections: int, otherwise: str
) -> AsyncEngine:
    """Return an engine for a schema of a database; nothing is connected yet.

    Args:
        database_url: as libpq has it.
        schema: where tables without one of their own lie.
        connections: there are at most so many.
        otherwise: what happens without a database, for the message.

    Raises:
        InvalidSetting: the URL is none of PostgreSQL.
    """
    try:
        return _engine(database_url, schema, connections)
    except _NoUrl as error:
        raise InvalidSetting(
            "DATABASE_URL must be the address of a PostgreSQL database, like "
            f"postgres://user:password@host/name; without it, {otherwise}.{error}",
            settings=["DATABASE_URL"],
        ) from error


def with_password(database_url: str | None, password: bytes | None) -> str | None:
    """Return the address of a database with the password that a file held, if there was one.

    Raises:
        InvalidSetting: there is no address for it, or that has a password already.
    """
    if password is None:
        return database_url
    try:
        url = make_url(database_url or "")
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.username is None or url.password is not None:
        raise InvalidSetting(
            "DATABASE_PASSWORD_FILE goes with a DATABASE_URL that names a user and no password, "
            "like postgres://user@host/name.",
            settings=["DATABASE_PASSWORD_FILE"],
        )
    return url.set(password=password.decode()).render_as_string(hide_password=False)


class _NoUrl(Exception):
    """Says why, if there is more to say."""


def _engine(database_url: str, schema: str, connections: int) -> AsyncEngine:
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+asyncpg://", database_url))
    except (ArgumentError, ValueError) as error:
        raise _NoUrl from error
    if url.drivername != "postgresql+asyncpg":
        raise _NoUrl()
    unknown = sorted(set(url.query) - _OPTIONS)
    if unknown:
        raise _NoUrl(f" It has {', '.join(unknown)}; options are {', '.join(sorted(_OPTIONS))}.")
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
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=_PATIENCE_S,
        connect_args=connect,
    )
    return engine.execution_options(schema_translate_map={None: schema})


def _check_addresses(url: URL) -> None:
    """Refuse hosts and ports that the driver would only stumble over as it connects."""
    try:
        _, options = url.get_dialect()().create_connect_args(url)
        ports = options.get("port") or []
        for port in ports if isinstance(ports, list) else [ports]:
            if not 0 < int(port) < 1 << 16:
                raise _NoUrl(f" There is no port {port}.")
    except (ArgumentError, ValueError) as error:
        raise _NoUrl from error
