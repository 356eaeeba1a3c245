"""What the server knows of a table: what it is, its columns, the tables its rows lie in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kalla_core.errors import SourceNotFound, SourceUnreadable
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.postgres.quoting import literal, literals, qualified
from kalla_core.sources.postgres.session import Session
from kalla_core.sources.postgres.uri import TableName

OLDEST_VERSION = 140_000
_SHOWN_NAMES = 2000
_MOST_LEAVES = 10_000


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the database in it that a session is connected to.

    Attributes:
        started: when the server was started, as text; tells one life of it from the next.
        utf8: whether text is kept in UTF-8.
    """

    version: str
    database: str
    started: str
    utf8: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or the like.

    Attributes:
        kind: `relkind`: r table, p partitioned, v view, m materialised view, f foreign table.
        heap: its rows lie in blocks and have a `ctid`.
        secured: policies say who sees which rows.
        has_children: other tables are, or were, parts of it.
    """

    oid: int
    schema: str
    name: str
    kind: str
    heap: bool
    secured: bool
    has_children: bool

    @property
    def sql(self) -> str:
        """Its full name in SQL."""
        return qualified(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Column:
    """A column; of a domain, what the domain is made of.

    Attributes:
        words: the type as its owner knows it, `numeric(12,2)`.
        type: name of the base type; of an array, of its items.
        builtin: the type is one of the server's own.
        category: `typcategory`: S for text, E for enums, …
        readable: whether this session's role may.
        width: average bytes of its values; None if not known.
    """

    name: str
    words: str
    type: str
    typmod: int
    builtin: bool
    category: str
    is_array: bool
    readable: bool
    width: int | None


def server_of(session: Session) -> Server:
    """Return what a session is connected to.

    Raises:
        SourceUnreadable: a server that is too old.
    """
    row = session.row(
        "SELECT current_setting('server_version')::text AS version,"
        " current_setting('server_version_num')::int8 AS number,"
        " current_database()::text AS database, pg_postmaster_start_time()::text AS started,"
        " (getdatabaseencoding() = 'UTF8') AS utf8"
    )
    if row["number"] < OLDEST_VERSION:
        raise SourceUnreadable(
            f"The server is PostgreSQL {row['version']}; Kalla reads version 14 and later."
        )
    return Server(row["version"].split()[0], row["database"], row["started"], row["utf8"])


def find_relation(session: Session, table: TableName) -> Relation:
    """Return the table that a URI names.

    Raises:
        SourceNotFound: there is none; the message names the nearest ones.
    """
    rows = session.rows(
        "SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,"
        " c.relkind::text AS kind, (a.amname IS NOT DISTINCT FROM 'heap') AS heap,"
        " c.relrowsecurity AS secured, c.relhassubclass AS has_children"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam"
        f" WHERE {_readable_kinds()} AND c.relname IN ({literals(table.name)})"
        f" AND {_where_to_look(table)}"
    )
    relations = [Relation(**row) for row in rows]
    if not relations:
        raise _not_found(session, table)
    return min(relations, key=lambda one: _spelling(one, table))


def columns_of(session: Session, relation: Relation) -> tuple[Column, ...]:
    """Return the columns of a relation, in order, domains seen through."""
    rows = session.rows(
        "WITH RECURSIVE base AS ("
        " SELECT a.attnum, a.attname, a.atttypid AS type, a.atttypmod AS typmod,"
        " format_type(a.atttypid, a.atttypmod) AS words"
        " FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid = {relation.oid}::oid AND a.attnum > 0 AND NOT a.attisdropped"
        " UNION ALL"
        " SELECT b.attnum, b.attname, t.typbasetype, t.typtypmod, b.words"
        " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd')"
        " SELECT b.attname::text AS name, b.words::text AS words,"
        " coalesce(e.typname, t.typname)::text AS type, b.typmod::int8 AS typmod,"
        " (coalesce(e.typnamespace, t.typnamespace)"
        " = 'pg_catalog'::regnamespace::oid) AS builtin,"
        " (CASE WHEN coalesce(e.typtype, t.typtype) = 'd' THEN 'D'"
        " ELSE coalesce(e.typcategory, t.typcategory) END)::text AS category,"
        " (e.oid IS NOT NULL) AS is_array,"
        f" has_column_privilege({relation.oid}::oid, b.attnum, 'SELECT') AS readable,"
        " s.avg_width::int8 AS width"
        " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'"
        " LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'"
        " AND t.typlen = -1 AND t.typname NOT IN ('int2vector', 'oidvector')"
        f" LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = {literal(relation.schema)}"
        f" AND s.tablename = {literal(relation.name)} AND s.attname = b.attname"
        " AND NOT s.inherited ORDER BY b.attnum"
    )
    return tuple(Column(**row) for row in rows)


def refuse_unreadable(columns: Sequence[Column]) -> None:
    """Check that the role may read every column, as all of them are read.

    Raises:
        SourceUnreadable: naming those that it may not.
    """
    names = [column.name for column in columns if not column.readable]
    if names:
        head = "The column" if len(names) == 1 else "The columns"
        named = ", ".join(f"`{name}`" for name in names)
        raise SourceUnreadable(
            f"{head} {named} may not be read by this role. Grant SELECT on the whole table, or"
            " name a view of the columns that it may read.",
            columns=names,
        )


def leaves_of(session: Session, relation: Relation) -> tuple[Relation, ...]:
    """Return the tables in whose blocks a relation's rows lie; empty if that is no use here.

    It is none for views and foreign tables, for tables that are not kept as heaps, and where
    reading a partition by itself would evade the policies or lack the rights that go with the
    whole.
    """
    if relation.kind in ("r", "m") and not relation.has_children:
        return (relation,) if relation.heap else ()
    if relation.kind not in ("r", "p") or relation.secured:
        return ()
    rows = session.rows(
        "WITH RECURSIVE tree AS ("
        f" SELECT {relation.oid}::oid AS oid UNION"
        " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid)"
        " SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,"
        " c.relkind::text AS kind, (a.amname IS NOT DISTINCT FROM 'heap') AS heap,"
        " c.relrowsecurity AS secured, false AS has_children,"
        " has_table_privilege(c.oid, 'SELECT') AS allowed"
        " FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam"
        f" WHERE c.relkind <> 'p' ORDER BY c.oid LIMIT {_MOST_LEAVES + 1}"
    )
    if len(rows) > _MOST_LEAVES or not all(row.pop("allowed") for row in rows):
        return ()
    leaves = tuple(Relation(**row) for row in rows)
    plain = all(leaf.kind == "r" and leaf.heap and not leaf.secured for leaf in leaves)
    return leaves if plain else ()


def lock(session: Session, relation: Relation) -> None:
    """Keep everybody from changing the shape of a relation, or emptying it, until the end.

    A query takes an ACCESS SHARE lock on all it would read: the tables of a view, every partition,
    foreign tables too, which LOCK TABLE refuses. That it brings no rows does not matter.
    """
    session.rows(f"SELECT 1 AS one FROM {relation.sql} LIMIT 0")


def holds_all_inline(session: Session, leaves: tuple[Relation, ...]) -> bool:
    """Whether no value of these tables is so large that it lies elsewhere."""
    if not leaves:
        return False
    oids = ", ".join(str(leaf.oid) for leaf in leaves)
    row = session.row(
        "SELECT coalesce(sum(pg_relation_size(nullif(reltoastrelid, 0))), 0)::int8 AS size"
        f" FROM pg_catalog.pg_class WHERE oid IN ({oids})"
    )
    return bool(row["size"] == 0)


def block_counts(session: Session, leaves: tuple[Relation, ...]) -> tuple[int, ...]:
    """Return how many blocks each table has now."""
    if not leaves:
        return ()
    sizes = ", ".join(f"({index}, {leaf.oid}::oid)" for index, leaf in enumerate(leaves))
    rows = session.rows(
        "SELECT (pg_relation_size(v.oid) / current_setting('block_size')::int8) AS blocks"
        f" FROM (VALUES {sizes}) v(index, oid) ORDER BY v.index"
    )
    return tuple(row["blocks"] for row in rows)


def _readable_kinds() -> str:
    return "c.relkind IN ('r', 'p', 'v', 'm', 'f')"


def _where_to_look(table: TableName) -> str:
    if table.schema:
        return f"n.nspname IN ({literals(table.schema)})"
    return "pg_table_is_visible(c.oid)"


def _spelling(relation: Relation, table: TableName) -> tuple[int, int]:
    schema = table.schema.index(relation.schema) if table.schema else 0
    return schema, table.name.index(relation.name)


def _not_found(session: Session, table: TableName) -> SourceNotFound:
    rows = session.rows(
        "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname::text"
        " ELSE n.nspname || '.' || c.relname END AS name"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE {_readable_kinds()} AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        f" AND n.nspname NOT LIKE 'pg\\_toast%' ORDER BY 1 LIMIT {_SHOWN_NAMES}"
    )
    names = [row["name"] for row in rows]
    elsewhere = [name for name in names if name.split(".", 1)[-1] in table.name]
    return SourceNotFound(
        f"There is no table or view `{table}`. {suggestion(str(table), elsewhere or names)}",
        table=str(table),
    )
