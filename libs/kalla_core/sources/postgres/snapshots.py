"""Holding one state of a database while a run reads it.

For every connection a run's sources need there is one holder, a transaction that stays open until
the pins end. First the holders take ACCESS SHARE locks on all tables; then one of them per
database exports a snapshot, and everything is read under that, by whoever imports it. The order
matters: without its lock, a table that is truncated after the snapshot looks empty under it.

The holders' transactions are READ COMMITTED, so that locking takes no snapshot too early. What has
to be seen under the snapshot (digits of numerics, sizes) is asked by a reader of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from kalla_core.errors import InvalidUri, KallaError, SourceChanged
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.naming import naming
from kalla_core.sources.postgres.catalogue import (
    Column,
    Relation,
    Server,
    block_counts,
    columns_of,
    find_relation,
    holds_all_inline,
    leaves_of,
    lock,
    refuse_unreadable,
    server_of,
)
from kalla_core.sources.postgres.faults import POOLER
from kalla_core.sources.postgres.measure import digits_measured, estimated, money_scale
from kalla_core.sources.postgres.pin import Pin
from kalla_core.sources.postgres.quoting import literal
from kalla_core.sources.postgres.session import Session, session
from kalla_core.sources.postgres.types import typed_columns
from kalla_core.sources.postgres.uri import PostgresUri, TableName
from kalla_core.sources.protocol import PinnedSource

_ATTEMPTS = 5
_NO_SUCH_SNAPSHOT = ("does not exist", "invalid snapshot identifier", "is not running anymore")


@dataclass(frozen=True, slots=True)
class _Holder:
    """A transaction that holds locks, and perhaps the snapshot; beside it one to look around."""

    held: Session
    reader: Session
    server: Server
    database: str


@dataclass(frozen=True, slots=True)
class _Locked:
    """A table that is locked, and what is known of it without a snapshot."""

    spec: SourceSpec
    holder: _Holder
    relation: Relation
    columns: tuple[Column, ...]
    leaves: tuple[Relation, ...]


@contextmanager
def held(sources: Sequence[tuple[SourceSpec, PostgresUri]]) -> Iterator[tuple[PinnedSource, ...]]:
    """Pin sources together and hold them until the context ends.

    Raises:
        InvalidUri, SourceNotFound, SourceUnreadable, SourceUnavailable, UnknownColumn,
        InvalidType: naming the source.
    """
    with ExitStack() as holding:
        holders: dict[str, _Holder] = {}
        locked = []
        for spec, uri in sources:
            with naming(spec):
                if uri.connection not in holders:
                    holders[uri.connection] = _holder(uri, holding)
                locked.append(_locked(spec, uri.table, holders[uri.connection]))
        snapshots: dict[str, str] = {}
        for one in locked:
            with naming(one.spec):
                _share(one.holder, snapshots)
        for holder in holders.values():
            enter(holder.reader, snapshots[holder.database])
        pins = []
        for one in locked:
            with naming(one.spec):
                pins.append(_pinned(one, snapshots[one.holder.database]))
        for holder in holders.values():
            holder.reader.close()
        yield tuple(pins)


def enter(reader: Session, snapshot: str) -> None:
    """Begin a transaction that sees what an exported snapshot sees.

    Raises:
        SourceChanged: the snapshot is gone, with whoever held it.
    """
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        reader.run(f"SET TRANSACTION SNAPSHOT {literal(snapshot)}")
    except KallaError as error:
        if any(words in error.message for words in _NO_SUCH_SNAPSHOT):
            raise lost(snapshot) from error
        raise


def lost(snapshot: str) -> SourceChanged:
    """Return the error for a snapshot whose holder is gone."""
    return SourceChanged(
        f"The snapshot {snapshot} is gone: the connection that held it was ended, so what is left"
        " to read may not be what was read before. The run has to start again.",
        snapshot=snapshot,
    )


def _holder(uri: PostgresUri, holding: ExitStack) -> _Holder:
    holder = holding.enter_context(session(uri))
    reader = holding.enter_context(session(uri))
    _refuse_pooler(holder, reader)
    server = server_of(holder)
    holder.run("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
    return _Holder(holder, reader, server, _database_identity(holder, server))


def _refuse_pooler(one: Session, other: Session) -> None:
    """Two connections that are one on the server, or one that is now this and now that."""
    query = "SELECT pg_backend_pid()::int8 AS pid"
    pids = [session.row(query)["pid"] for session in (one, other, one, other)]
    if pids[0] == pids[1] or pids[:2] != pids[2:]:
        raise InvalidUri(POOLER)


def _database_identity(holder: Session, server: Server) -> str:
    """Return what only sessions of the same database of the same server have in common."""
    row = holder.row(
        "SELECT (system_identifier::text || ' '"
        " || (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()))"
        " AS identity FROM pg_control_system()"
    )
    return f"{row['identity']} {server.started}"


def _locked(spec: SourceSpec, table: TableName, holder: _Holder) -> _Locked:
    """Find a table and lock it; again, if it was replaced in between."""
    relation = find_relation(holder.held, table)
    for _ in range(_ATTEMPTS):
        lock(holder.held, relation)
        again = find_relation(holder.held, table)
        if again.oid == relation.oid:
            columns = columns_of(holder.held, again)
            refuse_unreadable(columns)
            return _Locked(spec, holder, again, columns, leaves_of(holder.held, again))
        relation = again
    raise SourceChanged(f"`{table}` was replaced by another table again and again.")


def _share(holder: _Holder, snapshots: dict[str, str]) -> None:
    if holder.database not in snapshots:
        row = holder.held.row("SELECT pg_export_snapshot()::text AS snapshot")
        snapshots[holder.database] = row["snapshot"]


def _pinned(one: _Locked, snapshot: str) -> PinnedSource:
    reader, server = one.holder.reader, one.holder.server
    scale = money_scale(reader, one.columns)
    typed = typed_columns(one.columns, one.spec.types, scale)
    pin = Pin(
        snapshot=snapshot,
        started=server.started,
        utf8=server.utf8,
        relation=one.relation.sql,
        tables=tuple(leaf.sql for leaf in one.leaves),
        blocks=block_counts(reader, one.leaves),
        inline=holds_all_inline(reader, one.leaves),
        columns=digits_measured(reader, one.relation, typed),
    )
    return PinnedSource(
        spec=one.spec,
        schema=pin.schema,
        identity=_identity(one, snapshot),
        statistics=estimated(reader, pin, one.columns),
        detail=pin.as_json(),
    )


def _identity(one: _Locked, snapshot: str) -> Mapping[str, str]:
    server = one.holder.server
    return {
        "kind": "postgres",
        "database": server.database,
        "table": f"{one.relation.schema}.{one.relation.name}",
        "snapshot": snapshot,
        "server_version": server.version,
    }
