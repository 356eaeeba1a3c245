"""The tables of the app, and how older ones become these.

Times are microseconds since 1970, UTC. Documents are JSON texts. What may hold a password is kept
masked here, and whole in `secrets`, sealed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

POSTGRES_SCHEMA = "kalla_app"
MIGRATING = 5207321
CHAINING = 5207322
DECIDING = 5207323
"""Advisory locks of PostgreSQL; a coordinator on the same database has others."""

_LOOK_S = 0.1

METADATA = MetaData()

VERSION = Table("app_schema", METADATA, Column("version", Integer, nullable=False))

SECRETS = Table(
    "secrets",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("chain", Text, nullable=False),
)

SOURCES = Table(
    "sources",
    METADATA,
    Column("alias", Text, primary_key=True),
    Column("uri", Text, nullable=False),
    Column("source_type", Text, nullable=False),
    Column("reading", Text, nullable=False),  # `types` and `format`, as a recipe's source has them
    Column("status", Text, nullable=False),
    Column("problem", Text),
    Column("columns", Text, nullable=False),
    Column("row_count", BigInteger),
    Column("checked_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

RECIPES = Table(
    "recipes",
    METADATA,
    Column("recipe_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("removed", Integer, nullable=False),
)

RECIPE_VERSIONS = Table(
    "recipe_versions",
    METADATA,
    Column("recipe_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("recipe_id", Text, nullable=False),
    Column("recipe_version", Integer),
    Column("recipe_name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("output_path", Text),
    Column("callback_url", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("looked_at", BigInteger, nullable=False),
)
_RUNS_BY_TIME = Index("runs_by_time", RUNS.c.created_at, RUNS.c.run_id)
_RUNS_BY_RECIPE = Index("runs_by_recipe", RUNS.c.recipe_id, RUNS.c.created_at)
_RUNS_BY_STATUS = Index("runs_by_status", RUNS.c.status, RUNS.c.created_at)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
)

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("upload_id", Text, primary_key=True),
    Column("filename", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("bytes", BigInteger),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)


def _decision_columns() -> tuple[Column[Any], ...]:
    """Return the columns that decisions had at first."""
    return (
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("exception_id", Text, nullable=False),
        Column("recipe_id", Text, nullable=False),
        Column("side", Text, nullable=False),
        Column("record_key", Text, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("who", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("state", Text),
        Column("owner", Text),
        Column("reason_code", Text),
        Column("note", Text),
        Column("match_group", Text),
        Column("undo", Integer, nullable=False),
    )


_FIRST_DECISIONS = Table("decisions", MetaData(), *_decision_columns())
DECISIONS = Table(
    "decisions", METADATA, *_decision_columns(), Column("kind", Text), Column("until", Text)
)
_DECISIONS_BY_EXCEPTION = Index("decisions_by_exception", DECISIONS.c.exception_id)
_DECISIONS_BY_RECIPE = Index("decisions_by_recipe", DECISIONS.c.recipe_id)

POLICIES = Table(
    "policies",
    METADATA,
    Column("recipe_id", Text, primary_key=True),
    Column("document", Text, nullable=False),
)

FOLLOWED = Table(
    "followed",
    METADATA,
    Column("recipe_id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),  # of the latest run that was looked through
)


CHATS = Table(
    "chats",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("events", BigInteger, nullable=False),  # how many there are
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("held_by", Text),  # the process that works on it, until then
    Column("held_until", BigInteger, nullable=False),
)
_CHATS_BY_TIME = Index("chats_by_time", CHATS.c.updated_at, CHATS.c.session_id)

CHAT_EVENTS = Table(
    "chat_events",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
)

MODEL_USE = Table(
    "model_use",
    METADATA,
    Column("day", Text, primary_key=True),  # UTC
    Column("tokens", BigInteger, nullable=False),  # read and written
)


class _AddColumn(ExecutableDDLElement):
    """Adds a column to a table that was made without it."""

    def __init__(self, column: Column[Any]) -> None:
        self.column = column


@compiles(_AddColumn)
def _add_column(element: _AddColumn, compiler: Any, **_options: Any) -> str:
    # Not as a text: only what is compiled lands in the schema of our own.
    table = compiler.preparer.format_table(element.column.table)
    return f"ALTER TABLE {table} ADD COLUMN {compiler.get_column_specification(element.column)}"


# Each entry leads from the version before it; what has landed is never changed.
_MIGRATIONS: tuple[tuple[ExecutableDDLElement, ...], ...] = (
    (
        *(
            CreateTable(table)
            for table in (
                SECRETS,
                SESSIONS,
                AUDIT,
                SOURCES,
                RECIPES,
                RECIPE_VERSIONS,
                RUNS,
                OUTBOX,
            )
        ),
        *(CreateIndex(index) for index in (_RUNS_BY_TIME, _RUNS_BY_RECIPE, _RUNS_BY_STATUS)),
    ),
    (CreateTable(UPLOADS),),
    (
        CreateTable(_FIRST_DECISIONS),
        CreateIndex(_DECISIONS_BY_EXCEPTION),
        CreateIndex(_DECISIONS_BY_RECIPE),
    ),
    (
        _AddColumn(DECISIONS.c.kind),
        _AddColumn(DECISIONS.c.until),
        CreateTable(POLICIES),
        CreateTable(FOLLOWED),
    ),
    (CreateTable(CHATS), CreateTable(CHAT_EVENTS), CreateIndex(_CHATS_BY_TIME)),
    (CreateTable(MODEL_USE),),
)


async def migrate(connection: AsyncConnection) -> None:
    """Bring the tables to this version, in one transaction of the caller, which holds others off.

    Raises:
        ValueError: the tables are of a newer Kalla.
    """
    if connection.dialect.name == "postgresql":
        # Asked for again and again: to wait in the database would be an answer that takes too long.
        mine = text(f"SELECT pg_try_advisory_xact_lock({MIGRATING})")
        while not (await connection.execute(mine)).scalar():
            await asyncio.sleep(_LOOK_S)
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {POSTGRES_SCHEMA}"))
    await connection.execute(CreateTable(VERSION, if_not_exists=True))
    found = (await connection.execute(VERSION.select())).scalar()
    version = found or 0
    if version > len(_MIGRATIONS):
        raise ValueError(f"its tables are of version {version}, newer than {len(_MIGRATIONS)}")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            await connection.execute(statement)
    if found is None:
        await connection.execute(VERSION.insert().values(version=len(_MIGRATIONS)))
    elif version < len(_MIGRATIONS):
        await connection.execute(VERSION.update().values(version=len(_MIGRATIONS)))
