"""Sources as they are kept: their URI masked, and whole in the vault."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import SOURCES
from kalla_app.store.vault import Vault
from kalla_core.moments import micros, moment_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that somebody saved.

    Attributes:
        uri: as it may be shown.
        reading: `types` and `format`, as a recipe's source has them, where they are given.
        status: `ready`, `failed` (with the problem) or `unchecked`.
        columns: name and type of each, as it was last seen; empty before.
    """

    alias: str
    uri: str
    source_type: str
    created_at: datetime
    updated_at: datetime
    reading: Json = field(default_factory=dict)
    status: str = "unchecked"
    problem: str | None = None
    columns: tuple[Json, ...] = ()
    row_count: int | None = None
    checked_at: datetime | None = None


# Made once: to make a query takes longer than to answer it.
_FIND = select(SOURCES).where(SOURCES.c.alias == bindparam("alias"))
_FIRST = select(SOURCES).order_by(SOURCES.c.alias).limit(bindparam("most", type_=Integer))
_BEHIND = _FIRST.where(SOURCES.c.alias > bindparam("after"))


async def find(connection: AsyncConnection, alias: str) -> Source | None:
    """Return a source; None if there is none."""
    row = (await connection.execute(_FIND, {"alias": alias})).mappings().first()
    return None if row is None else _source_of(row)


async def page(connection: AsyncConnection, limit: int, after: str | None) -> list[Source]:
    """Return sources by alias, those behind `after`."""
    if after is None:
        found = await connection.execute(_FIRST, {"most": limit})
    else:
        found = await connection.execute(_BEHIND, {"most": limit, "after": after})
    return [_source_of(row) for row in found.mappings().all()]


async def put(connection: AsyncConnection, source: Source, uri: str, vault: Vault) -> None:
    """Keep a source in place of the one of its alias.

    Args:
        uri: with its secrets.
    """
    await vault.keep(connection, _secret(source.alias), uri)
    await connection.execute(delete(SOURCES).where(SOURCES.c.alias == source.alias))
    checked = source.checked_at
    await connection.execute(
        insert(SOURCES).values(
            alias=source.alias,
            uri=source.uri,
            source_type=source.source_type,
            reading=json.dumps(source.reading),
            status=source.status,
            problem=source.problem,
            columns=json.dumps(source.columns),
            row_count=source.row_count,
            checked_at=None if checked is None else micros(checked),
            created_at=micros(source.created_at),
            updated_at=micros(source.updated_at),
        )
    )


async def remove(connection: AsyncConnection, alias: str, vault: Vault) -> None:
    """Remove a source, and what was sealed of it."""
    await vault.forget(connection, _secret(alias))
    await connection.execute(delete(SOURCES).where(SOURCES.c.alias == alias))


async def uri_of(connection: AsyncConnection, source: Source, vault: Vault) -> str:
    """Return the URI of a source with its secrets."""
    return str(await vault.whole(connection, _secret(source.alias), source.uri))


def _secret(alias: str) -> str:
    return f"source/{alias}"


def _source_of(row: Any) -> Source:
    checked = row["checked_at"]
    return Source(
        alias=row["alias"],
        uri=row["uri"],
        source_type=row["source_type"],
        reading=json.loads(row["reading"]),
        status=row["status"],
        problem=row["problem"],
        columns=tuple(json.loads(row["columns"])),
        row_count=row["row_count"],
        checked_at=None if checked is None else moment_of(checked),
        created_at=moment_of(row["created_at"]),
        updated_at=moment_of(row["updated_at"]),
    )
